"""Ninety days by a clock of the test's own: the fold, the sums and the files, with topics that forget after 35 days.

Every stage restarts from its topics again and again; a partition is not folded for almost as long as the raw topic
keeps its records. No row may be lost, files of days that are over may not change, and nothing may grow.
"""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import orjson

from sinks.tables import DayTable
from streams.contract.days import DAY_MS, FILE_DAYS, HOUR_MS, TOTALS_DAYS, dt_of_ms, shift_dt
from streams.contract.keys import PartialKey, decode_daily_key
from streams.contract.rows import Table
from streams.contract.topics import COMPACTED_RETENTION_DAYS, daily_tables
from streams.fold_settings import FoldSettings
from streams.partition_state import PartitionState
from streams.state_records import Share, decode
from streams.totals import Totals
from tests.unit.streams.plain_fold import RawRecord, plain_rows

START_MS = 1_760_000_000_000
DAYS = 90
PARTITIONS = 3
#: Partition 0 is not folded from the first of these days on; on the last one it catches up.
LAGGING = range(50, 63)
SETTINGS = FoldSettings(
    partitions=PARTITIONS, shards=1, day_rule="event", client_table=False, topic_id=uuid.UUID(int=7)
)
TABLES = daily_tables(client_table=False)


@dataclass
class CompactedTopic:
    """The newest record of each key, for as long as the topic keeps it: at its shortest, as the worst broker would."""

    records: dict[bytes, tuple[bytes, int, int]] = field(default_factory=dict)
    end: int = 0

    def append(self, key: bytes, value: bytes | None, now_ms: int) -> int:
        if value is None:
            self.records.pop(key, None)
        else:
            self.records[key] = (value, self.end, now_ms)
        self.end += 1
        return self.end - 1

    def expire(self, now_ms: int) -> None:
        oldest = now_ms - COMPACTED_RETENTION_DAYS * DAY_MS
        self.records = {key: record for key, record in self.records.items() if record[2] >= oldest}


class Stages:
    """Workers and topics of a stack, moved by one day at a time."""

    def __init__(self, pick: random.Random) -> None:
        self.state = [CompactedTopic() for _ in range(PARTITIONS)]
        self.partials = CompactedTopic()
        self.daily = {table.name: CompactedTopic() for table in TABLES}
        #: (table, dt) -> rows of the file; and the simulated days on which a file's content changed.
        self.files: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {}
        self.changes: list[tuple[int, str]] = []
        self._folds = [PartitionState(p, SETTINGS) for p in range(PARTITIONS)]
        self._totals = Totals()
        self._tables = {table.name: DayTable(table) for table in TABLES}
        self._pick = pick

    def day(self, number: int, now_ms: int, records: list[RawRecord]) -> None:
        self.fold(now_ms, records)
        self.sum(now_ms)
        self.write(number, now_ms)
        for topic in (*self.state, self.partials, *self.daily.values()):
            topic.expire(now_ms)
        if self._pick.random() < 0.5:
            self.restart(now_ms)

    def fold(self, now_ms: int, records: list[RawRecord]) -> None:
        for record in records:
            self._folds[record.p].fold(record.offset, record.broker_ms, record.value)
        for p, fold in enumerate(self._folds):
            changes = fold.take_changes()
            fold.drop_old()
            fold.clients.refresh(now_ms // HOUR_MS)
            for key, value in changes.state:
                self.state[p].append(key, value, now_ms)
            for key, value in changes.partials.get(0, []):
                assert value is not None
                self.partials.append(key, value, now_ms)
                self._put_share(key, value, now_ms)

    def _put_share(self, key: bytes, value: bytes, now_ms: int) -> None:
        partial_key = PartialKey.decode(key)
        if partial_key.dt >= shift_dt(dt_of_ms(now_ms), -TOTALS_DAYS):
            self._totals.put_share(partial_key, decode(Share, value))

    def sum(self, now_ms: int) -> None:
        self._totals.drop_days_before(shift_dt(dt_of_ms(now_ms), -TOTALS_DAYS))
        for row in self._totals.take_differences():
            assert row.value is not None
            offset = self.daily[row.table.name].append(row.key, row.value, now_ms)
            self._tables[row.table.name].apply(row.key, row.value, offset, 0, oldest=self._oldest_file(now_ms))

    def write(self, number: int, now_ms: int) -> None:
        for name, table in self._tables.items():
            table.forget_before(self._oldest_file(now_ms))
            for dt in table.changed():
                held = [tuple(row.values()) for row in table.snapshot(dt).rows.to_pylist()]
                rows = {row_id(table.table, values): values for values in held}
                table.written(dt)
                before = self.files.get((name, dt), {})
                assert set(before) <= set(rows), f"rows of {name} {dt} went"
                if rows != before:
                    self.changes.append((number, dt))
                self.files[name, dt] = rows

    def _oldest_file(self, now_ms: int) -> str:
        return shift_dt(dt_of_ms(now_ms), -FILE_DAYS)

    def restart(self, now_ms: int) -> None:
        """Every worker is replaced by one that knows the topics only."""
        for p, topic in enumerate(self.state):
            stored = {key: value for key, (value, *_) in topic.records.items()}
            self._folds[p] = PartitionState.restored(p, SETTINGS, stored)
        self._totals = Totals()
        self._tables = {table.name: DayTable(table) for table in TABLES}
        for table in TABLES:
            self._read_daily(table, now_ms)
        for key, (value, *_) in self.partials.records.items():
            self._put_share(key, value, now_ms)

    def _read_daily(self, table: Table, now_ms: int) -> None:
        oldest_total = shift_dt(dt_of_ms(now_ms), -TOTALS_DAYS)
        for key, (value, offset, _) in self.daily[table.name].records.items():
            self._tables[table.name].apply(key, value, offset, 0, oldest=self._oldest_file(now_ms))
            dt, row_id = decode_daily_key(key)
            if dt >= oldest_total:
                self._totals.put_published(table, dt, row_id, orjson.loads(value), 0)

    @property
    def sizes(self) -> dict[str, int]:
        """What the workers and topics hold."""
        return {
            "shares in memory": sum(len(fold._aggregates) for fold in self._folds),
            "clients in memory": sum(len(fold.clients) for fold in self._folds),
            "sums in memory": len(self._totals),
            "rows in memory": sum(table.row_count() for table in self._tables.values()),
            "state": sum(len(topic.records) for topic in self.state),
            "partials": len(self.partials.records),
            "daily": sum(len(topic.records) for topic in self.daily.values()),
        }


def records_of(number: int, offsets: list[int], pick: random.Random) -> list[RawRecord]:
    """The raw records of one day: each client posts once, about the last seven days, and repeats some of it."""
    records = []
    for p in range(PARTITIONS):
        # One client stays for ever, another for nine days.
        for client in (f"always-{p}", f"guest-{p}-{number // 9}"):
            broker_ms = START_MS + number * DAY_MS + pick.randrange(DAY_MS)
            lines = []
            for line in range(6):
                # Late by up to the seven days that are believed; some are repeats of the day before.
                late_ms = pick.choice([0, HOUR_MS, 3 * DAY_MS, 7 * DAY_MS])
                sequence = number * 6 + line - pick.choice([0, 0, 0, 6])
                lines.append(
                    {
                        "event_id": f"{client}-{sequence}",
                        "event_ts": broker_ms - late_ms,
                        "event_type": pick.choice(["watch_tick", "video_start"]),
                        "tab_id": "1",
                        "client_id": client,
                        "received_at": broker_ms,
                        "video_id": f"video-{pick.randrange(4)}",
                        "channel_name": f"channel-{pick.randrange(2)}",
                        "watch_ms_delta": pick.randrange(1, 60_000),
                        "seq": max(sequence, 0),
                        "seq_epoch": "one",
                    }
                )
            value = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            records.append(RawRecord(p, offsets[p], broker_ms, value))
            offsets[p] += 1
    return sorted(records, key=lambda record: record.broker_ms)


def test_ninety_days_lose_no_row_change_no_old_file_and_do_not_grow():
    pick = random.Random(1)
    stages = Stages(pick)
    offsets = [0] * PARTITIONS
    everything: list[RawRecord] = []
    held: list[RawRecord] = []
    sizes = []
    for number in range(DAYS):
        records = records_of(number, offsets, pick)
        everything += records
        if number in LAGGING:
            held += [record for record in records if record.p == 0]
            records = [record for record in records if record.p != 0]
        elif held:
            records, held = held + records, []
        stages.day(number, START_MS + (number + 1) * DAY_MS, records)
        sizes.append(stages.sizes)

    expected: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {}
    for (table, dt, own_id), row in plain_rows(everything).items():
        values = tuple(value for name, value in row.items() if name not in {"dt", "updated_at"})
        expected.setdefault((table, dt), {})[str(own_id)] = values
    assert stages.files == expected
    first_day = START_MS // DAY_MS
    ages = [first_day + number - day_number(dt) for number, dt in stages.changes]
    assert max(ages) > 14, "the lag must reach far back, or this test says little"
    assert max(ages) < TOTALS_DAYS
    # Behind the lag and one retention, each size is within what it was before the lag.
    for name in sizes[0]:
        before = max(size[name] for size in sizes[40:50])
        after = max(size[name] for size in sizes[-5:])
        assert after <= 1.1 * before, (name, before, after)


def row_id(table: Table, values: tuple[Any, ...]) -> str:
    """Return the id of a row, which is its first column behind the day where it has one."""
    return str(values[0]) if table.id_column else ""


def day_number(dt: str) -> int:
    """Return days since the epoch."""
    number = START_MS // DAY_MS
    while dt_of_ms(number * DAY_MS) > dt:
        number -= 1
    while dt_of_ms(number * DAY_MS) < dt:
        number += 1
    return number
