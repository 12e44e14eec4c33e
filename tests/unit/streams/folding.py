"""A fold of records, cut into commits and restarts, over topics in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from streams.contract.keys import PartialKey
from streams.fold_settings import FoldSettings
from streams.partition_state import PartitionState
from streams.state_records import MARKER_KEY, Share, decode
from streams.totals import Totals
from tests.unit.streams.plain_fold import RawRecord
from tests.unit.streams.raw_logs import PARTITIONS

TOPIC_ID = uuid.UUID(int=7)


def settings_of(rule: str = "event", *, shards: int = 1, client_table: bool = False) -> FoldSettings:
    return FoldSettings(
        partitions=PARTITIONS, shards=shards, day_rule=rule, client_table=client_table, topic_id=TOPIC_ID
    )


class Topics:
    """`watch.state` and `watch.partials` as their compaction leaves them."""

    def __init__(self) -> None:
        self.state: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
        self.partials: dict[int, dict[bytes, bytes]] = {}

    def commit(self, state: PartitionState) -> None:
        changes = state.take_changes()
        assert changes.state[-1][0] == MARKER_KEY
        put(self.state[state.p], changes.state)
        for shard, records in changes.partials.items():
            put(self.partials.setdefault(shard, {}), records)


def put(topic: dict[bytes, bytes], records: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in records:
        if value is None:
            topic.pop(key, None)
        else:
            topic[key] = value


def fold(state: PartitionState, record: RawRecord) -> None:
    if record.forget is not None:
        state.forget(record.offset, record.broker_ms, record.forget)
    else:
        state.fold(record.offset, record.broker_ms, record.value)


def folded(
    records: Sequence[RawRecord], how: FoldSettings, commits: Sequence[bool], restarts: Sequence[bool]
) -> Topics:
    """Fold records; commit behind those marked (and at the end), restart behind those marked: what was not committed
    is folded again."""
    topics = Topics()
    for p in range(PARTITIONS):
        state, begun, at = PartitionState(p, how), 0, 0
        mine = [(record, commits[n], restarts[n]) for n, record in enumerate(records) if record.p == p]
        restarted: set[int] = set()
        topics.commit(state)
        while at < len(mine):
            record, commit, restart = mine[at]
            fold(state, record)
            at += 1
            if restart and at not in restarted:
                restarted.add(at)
                state, at = PartitionState.restored(p, how, topics.state[p]), begun
            elif commit:
                topics.commit(state)
                begun = at
        topics.commit(state)
    return topics


def published(topics: Topics) -> dict[tuple[str, str, Any], dict[str, Any]]:
    """Sum the partials of all shards; return rows as the plain fold names them."""
    rows = {}
    for partials in topics.partials.values():
        totals = Totals()
        for key, value in partials.items():
            totals.put_share(PartialKey.decode(key), decode(Share, value))
        for daily in totals.take_differences():
            row = orjson.loads(daily.value)
            id_column = daily.table.id_column
            row_id = row[id_column] if id_column else ""
            assert list(row) == [*daily.table.columns, "updated_at"]
            key = (daily.table.name, row["dt"], row_id)
            assert key not in rows, "shares of one row have gone to different shards"
            rows[key] = row
    return rows
