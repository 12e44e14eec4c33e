"""The rows of one daily table that one partition of its topic holds, by day. Pure: no Kafka, no store, no clock.

Each record is a row's absolute value, so the last one wins; the worker asks which days have changed since
they were last put into their file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from sinks.row_columns import RowColumns
from streams.contract.keys import decode_daily_key
from streams.contract.rows import Table


class BadRowError(Exception):
    """A record of a daily topic is no row of its table."""


@dataclass(frozen=True, kw_only=True)
class DaySnapshot:
    """The rows of a day at one moment, as they go into a file."""

    dt: str
    #: Their columns after `dt`, in no order.
    rows: pa.RecordBatch
    #: The generation that published each row.
    generations: pa.Array
    #: Offset of the day's newest record.
    offset: int
    #: Greatest generation among the rows.
    generation: int
    #: Offset of the newest record that removed a row; -1: none did. Up to it the day may have shrunk.
    removed: int


@dataclass
class _Day:
    rows: RowColumns
    newest: int = -1
    generation: int = 0
    removed: int = -1
    #: First offset that no snapshot has seen; None: the last one saw all.
    unseen: int | None = None
    #: First offset that a snapshot has seen which is not known to be in a file yet.
    unwritten: int | None = None


class DayTable:
    """Rows of one (table, partition), fed in the order of the topic's offsets."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._days: dict[str, _Day] = {}

    def apply(self, key: bytes | None, value: bytes | None, offset: int, generation: int, *, oldest: str) -> str | None:
        """Take one record and return its day; None for a day before `oldest`, which is not kept."""
        try:
            dt, row_id = decode_daily_key(key or b"")
            fields = None if value is None else orjson.loads(value)
            if value is not None and not isinstance(fields, dict):
                raise TypeError("the value is no object")  # noqa: TRY301 - told with all else that is no row
            if dt < oldest:
                return None
            self._take(dt, row_id, fields, offset, generation)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise BadRowError(f"{self.table.topic} offset {offset}: no row of {self.table.name}: {error!r}") from error
        return dt

    def _take(self, dt: str, row_id: str, fields: dict[str, Any] | None, offset: int, generation: int) -> None:
        day = self._days.get(dt)
        if day is None:
            day = self._days[dt] = _Day(RowColumns(self.table))
        if fields is None:
            day.rows.remove(row_id)
            day.removed = offset
        elif day.rows.put(row_id, fields, generation):
            day.generation = max(day.generation, generation)
        day.newest = offset
        if day.unseen is None:
            day.unseen = offset

    def changed(self) -> list[str]:
        """Return the days with records that no snapshot has seen, newest day first."""
        return sorted((dt for dt, day in self._days.items() if day.unseen is not None), reverse=True)

    def snapshot(self, dt: str) -> DaySnapshot:
        """Return the day's rows; its records count as unwritten until `written` is called."""
        day = self._days[dt]
        if day.unwritten is None:
            day.unwritten = day.unseen
        day.unseen = None
        rows, generations = day.rows.batch()
        return DaySnapshot(
            dt=dt,
            rows=rows,
            generations=generations,
            offset=day.newest,
            generation=day.generation,
            removed=day.removed,
        )

    def written(self, dt: str) -> None:
        """Note that all that the day's last snapshot saw is in a file."""
        if day := self._days.get(dt):
            day.unwritten = None

    def retry(self) -> None:
        """Count what snapshots have seen, but no file is known to hold, as unseen again."""
        for day in self._days.values():
            if day.unwritten is not None:
                day.unseen, day.unwritten = day.unwritten, None

    def rest(self, dts: Iterable[str]) -> None:
        """Hold days in less room that are in files and not expected to change soon."""
        for dt in dts:
            day = self._days.get(dt)
            if day and day.unseen is None and day.unwritten is None:
                day.rows.pack()

    def forget_before(self, oldest: str) -> None:
        """Drop days before `oldest`."""
        for dt in [dt for dt in self._days if dt < oldest]:
            del self._days[dt]

    def first_unwritten(self) -> int | None:
        """Return the lowest offset that is not known to be in a file; None when all are."""
        offsets = (offset for day in self._days.values() for offset in (day.unseen, day.unwritten))
        return min((offset for offset in offsets if offset is not None), default=None)

    def row_count(self) -> int:
        """Return how many rows are held."""
        return sum(len(day.rows) for day in self._days.values())
