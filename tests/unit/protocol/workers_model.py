"""Owners of partitions that follow the protocol step by step over the model of Kafka, with the project's own fold and
sums inside. `Rules` switches single rules off: each such mutation must be caught."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

import orjson

from streams.contract.keys import PartialKey, decode_daily_key
from streams.contract.rows import TABLE_BY_KIND, TABLE_BY_TOPIC
from streams.fold_settings import FoldSettings
from streams.partition_state import PartitionState
from streams.state_records import MARKER_KEY, Share, decode
from streams.totals import Totals
from tests.unit.protocol.kafka_model import Cluster, Producer

P: Final = 1
SETTINGS: Final = FoldSettings(
    partitions=P, shards=1, day_rule="received", client_table=False, topic_id=uuid.UUID(int=7)
)
PARTIALS: Final = "partials"
NOON_MS: Final = 1_790_000_000_000
CRASHES: Final = ("before", "partials", "state", "commit")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of the protocol; False breaks one."""

    #: Starting a producer fences earlier ones.
    fencing: bool = True
    #: The marker is written in the transaction of what it stands for.
    marker_with_changes: bool = True
    #: State and partials are written in one transaction.
    one_transaction: bool = True
    #: Readers see committed records only.
    read_committed: bool = True
    #: Fencing comes before the end of the state is asked for.
    fence_before_reading: bool = True
    #: A returning owner reads the state again unless its own last commit still ends it.
    check_memory: bool = True
    #: Where to go on comes from the marker in the state, not from the consumer group.
    marker_decides: bool = True
    #: A restore reads up to the end.
    restore_to_end: bool = True
    #: Sums read what is published and all shares before they publish.
    sums_read_first: bool = True
    #: An owner that was refused ends with its memory.
    refused_ends: bool = True


class KilledError(Exception):
    """The process of an owner ended."""


class Folder:
    """The owner of raw partition `p` in one process."""

    def __init__(self, cluster: Cluster, p: int, rules: Rules, group: dict[int, int]) -> None:
        self._cluster, self._p, self._rules, self._group = cluster, p, rules, group
        self._producer: Producer | None = None
        self._state: PartitionState | None = None
        self._state_end = -1

    def take(self) -> None:
        rules, log = self._rules, f"state-{self._p}"
        if rules.fence_before_reading:
            self._producer = self._cluster.producer(f"fold-{self._p}")
        end = self._cluster.end(log, committed=rules.read_committed)
        stale = self._state is None or (rules.check_memory and end != self._state_end)
        if stale:
            self._state = self._restored(log, end if rules.restore_to_end else end - 2)
            self._state_end = end
        if not rules.fence_before_reading:
            self._late_fence = True
        if not rules.marker_decides and self._state is not None:
            self._state.offset = self._group.get(self._p, -1)

    _late_fence = False

    def _restored(self, log: str, end: int) -> PartitionState:
        stored: dict[bytes, bytes] = {}
        for _, entry in self._cluster.read(log, 0, end):
            if entry.transaction is not None and self._rules.read_committed:
                continue
            if entry.value is None:
                stored.pop(entry.key, None)
            else:
                stored[entry.key] = entry.value
        if MARKER_KEY in stored:
            return PartitionState.restored(self._p, SETTINGS, stored)
        return PartitionState(self._p, SETTINGS)

    def step(self, crash: str | None, limit: int | None = None) -> None:
        """Fold up to `limit` records and write them; `crash` names the moment at which the process is killed."""
        assert self._state is not None
        if self._late_fence:
            self._producer, self._late_fence = self._cluster.producer(f"fold-{self._p}"), False
        raw = f"raw-{self._p}"
        records = self._cluster.read(raw, self._state.offset + 1, self._cluster.end(raw))[:limit]
        if not records:
            return
        for offset, entry in records:
            self._state.fold(offset, NOON_MS + offset, entry.value or b"")
        self._write(crash)
        self._group[self._p] = self._state.offset

    def _write(self, crash: str | None) -> None:
        assert self._state is not None
        cluster, producer, log = self._cluster, self._producer, f"state-{self._p}"
        changes = self._state.take_changes()
        marker = changes.state.pop()
        _die(crash, "before")
        if not self._rules.marker_with_changes:
            cluster.append(log, *marker, producer)
            cluster.commit(producer)
        for key, value in changes.partials.get(0, ()):
            cluster.append(PARTIALS, key, value, producer)
        if not self._rules.one_transaction:
            cluster.commit(producer)
        _die(crash, "partials")
        for key, value in changes.state:
            cluster.append(log, key, value, producer)
        _die(crash, "state")
        if self._rules.marker_with_changes:
            cluster.append(log, *marker, producer)
        cluster.commit(producer)
        self._state_end = cluster.end(log)
        _die(crash, "commit")


class Summer:
    """The owner of the one shard of partials in one process."""

    def __init__(self, cluster: Cluster, rules: Rules) -> None:
        self._cluster, self._rules = cluster, rules
        self._producer: Producer | None = None
        self._totals = Totals()
        self._position = 0

    def take(self) -> None:
        self._producer = self._cluster.producer("sum-0")
        self._totals, self._position = Totals(), 0
        if self._rules.sums_read_first:
            for table in TABLE_BY_KIND.values():
                for _, entry in self._cluster.read(table.topic, 0, self._cluster.end(table.topic)):
                    dt, row_id = decode_daily_key(entry.key)
                    self._totals.put_published(table, dt, row_id, orjson.loads(entry.value or b"{}"), 0)
            self._read()
        else:
            self._position = self._cluster.end(PARTIALS)

    def _read(self) -> None:
        end = self._cluster.end(PARTIALS, committed=self._rules.read_committed)
        for _, entry in self._cluster.read(PARTIALS, self._position, end):
            self._totals.put_share(PartialKey.decode(entry.key), decode(Share, entry.value or b""))
        self._position = end

    def step(self, crash: str | None) -> None:
        self._read()
        rows = list(self._totals.take_differences())
        _die(crash, "before")
        for row in rows:
            self._cluster.append(row.table.topic, row.key, row.value, self._producer)
        _die(crash, "partials")
        self._cluster.commit(self._producer)
        _die(crash, "commit")


def newest_shares(cluster: Cluster) -> dict[PartialKey, Share]:
    """Return the newest committed share of each key; AssertionError when one is behind an earlier one."""
    newest: dict[PartialKey, Share] = {}
    for _, entry in cluster.read(PARTIALS, 0, cluster.end(PARTIALS)):
        key, share = PartialKey.decode(entry.key), decode(Share, entry.value or b"")
        assert key not in newest or newest[key].offset <= share.offset, f"{key} went back"
        newest[key] = share
    return newest


def published(cluster: Cluster) -> dict[tuple[str, bytes], list[int]]:
    """Return the counters of each row of the daily topics, as a reader of committed records sees them."""
    rows: dict[tuple[str, bytes], list[int]] = {}
    for topic, table in TABLE_BY_TOPIC.items():
        for _, entry in cluster.read(topic, 0, cluster.end(topic)):
            row = orjson.loads(entry.value or b"{}")
            rows[table.kind, entry.key] = [row[name] for name in table.counters]
    return rows


def _die(crash: str | None, here: str) -> None:
    if crash == here:
        raise KilledError(here)
