"""The daily rows that the live page shows, in bounded memory. Pure.

Of each day and table at most some rows are held, those with the most watch time. That loses nothing of what is
shown: values are absolute and only grow, so a row that was let go is below the smallest one held, and when it grows
beyond it its new value comes by on the topic again. Totals of a day are sums over its 24 hours, and exact.
The one exception is a refold, after which values may be smaller than before: rows that were let go before are missed
until they change or the topics are compacted (within an hour or so) and read again.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import orjson

from streams.contract.keys import decode_daily_key
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, WATCH_COUNTERS, Table

TABLES: Final = (VIDEO, CHANNEL, HOUR, INGEST)
#: Counters of a day's totals.
_TOTALS: Final = ("watch_ms", *WATCH_COUNTERS)
_BY_TOPIC: Final = {table.topic: table for table in TABLES}
#: Newest days of which all of the wanted rows are held; of older ones a part.
_NEWEST_DAYS: Final = 2
_OLDER_PART: Final = 20
#: Rows held beyond the wanted ones before they are thinned out, as a part of the wanted ones.
_SLACK: Final = 4
#: Values of a row by kind of table.
_FIELDS: Final = {table.kind: (*table.columns[1:], "updated_at") for table in TABLES}
#: How many of them are names, id and label; the others are whole numbers.
_NAMES: Final = {table.kind: sum(map(table.is_text, table.columns[1:])) for table in TABLES}


class UnreadableRowError(ValueError):
    """A record of a daily topic holds no row."""


class _Rows:
    """Rows of one table and day: values in the order of `fields`."""

    __slots__ = ("by_id", "cut", "fields", "floor", "rank")

    def __init__(self, table: Table) -> None:
        self.fields = _FIELDS[table.kind]
        #: Position of the value by which rows compete; tables with few rows need none.
        self.rank = self.fields.index("watch_ms") if table in {VIDEO, CHANNEL} else -1
        self.by_id: dict[str, tuple[Any, ...]] = {}
        #: A row below it is not among the wanted ones.
        self.floor = -1
        #: Whether rows were let go.
        self.cut = False

    def put(self, row_id: str, values: tuple[Any, ...], most: int) -> None:
        """Take in the newest values of a row."""
        if self.rank >= 0 and values[self.rank] < self.floor and row_id not in self.by_id:
            self.cut = True
            return
        before = self.by_id.get(row_id)
        if self.rank >= 0 and before is not None and values[self.rank] < before[self.rank]:
            self.floor = -1  # a refold: what the floor was made of is no longer so
        self.by_id[row_id] = values
        if len(self.by_id) > most + most // _SLACK:
            self.thin(most)

    def thin(self, most: int) -> None:
        """Let go of all but the most watched rows."""
        if self.rank >= 0 and len(self.by_id) > most:
            kept = heapq.nlargest(most, self.by_id.items(), key=lambda entry: entry[1][self.rank])
            self.by_id, self.cut = dict(kept), True
            self.floor = kept[-1][1][self.rank]


class HeldDays:
    """All days; `apply` takes records of the daily topics in any order between keys."""

    def __init__(self, rows: int) -> None:
        self._most = rows
        self._days: dict[str, dict[str, _Rows]] = {}
        self._newest: frozenset[str] = frozenset()
        self._generation = 0
        #: Grows with every change of a day.
        self.versions: dict[str, int] = {}

    def apply(self, topic: str, key: bytes, value: bytes | None, generation: int = 0) -> bool:
        """Take in a record; return False when all must be read anew, as after a refold values may have shrunk.

        UnreadableRowError when it holds no row; nothing has changed then.
        """
        table = _BY_TOPIC[topic]
        try:
            dt, row_id = decode_daily_key(key)
            values = None if value is None else _values(table, value)
            if dt not in self._days:
                datetime.date.fromisoformat(dt)
        except (ValueError, AttributeError) as error:  # no key, a key or a value of another kind
            raise UnreadableRowError(str(error)) from error
        if generation > self._generation:
            self._generation = generation
            if any(rows.cut for tables in self._days.values() for rows in tables.values()):
                self.clear()
                return False
        tables = self._days.get(dt)
        if tables is None:
            if values is None:
                return True
            tables = self._begin(dt)
        if values is None:
            tables[table.kind].by_id.pop(row_id, None)
        else:
            tables[table.kind].put(row_id, values, self._most_of(dt))
        self.versions[dt] = self.versions.get(dt, 0) + 1
        return True

    def clear(self) -> None:
        """Forget all rows."""
        self._days.clear()
        self._newest = frozenset()

    def days(self) -> list[str]:
        """Return the days with rows, the newest first."""
        return sorted(self._days, reverse=True)

    def rows(self, table: Table, dt: str, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Return rows of a day, the most watched first (hours by hour), whose id or channel holds `search`."""
        held = self._days.get(dt)
        if held is None:
            return []
        rows = held[table.kind]
        found = _matching(rows.by_id, search.casefold()) if search else rows.by_id.items()
        if rows.rank >= 0:
            rank = rows.rank
            ordered = heapq.nsmallest(limit, found, key=lambda entry: (-entry[1][rank], entry[0]))
        else:
            ordered = sorted(found, key=lambda entry: entry[1][0])[:limit]
        return [{"dt": dt, **dict(zip(rows.fields, values, strict=True))} for _, values in ordered]

    def count(self, table: Table, dt: str) -> tuple[int, bool]:
        """Return how many rows of a day are held, and whether there are more."""
        held = self._days.get(dt)
        return (len(held[table.kind].by_id), held[table.kind].cut) if held else (0, False)

    def counted(self) -> int:
        """Return how many events all days count."""
        read = itemgetter(0)  # total_events
        return sum(int(read(values)) for tables in self._days.values() for values in tables["ingest"].by_id.values())

    def _begin(self, dt: str) -> dict[str, _Rows]:
        """Begin a day; one that is no longer among the newest keeps a part of its rows."""
        tables = self._days[dt] = {table.kind: _Rows(table) for table in TABLES}
        before, self._newest = self._newest, frozenset(self.days()[:_NEWEST_DAYS])
        for older in before - self._newest:
            for rows in self._days[older].values():
                rows.thin(self._most_of(older))
        return tables

    def _most_of(self, dt: str) -> int:
        return self._most if dt in self._newest else max(self._most // _OLDER_PART, 1)


def totals_of(hours: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sums over a day's rows of hours."""
    return {name: sum(hour[name] for hour in hours) for name in _TOTALS}


def _values(table: Table, value: bytes) -> tuple[Any, ...]:
    """Return the values of a row in the order of its fields."""
    row = orjson.loads(value)
    values = tuple([row.get(name) for name in _FIELDS[table.kind]])
    if set(map(type, values[_NAMES[table.kind] :])) != {int}:
        raise ValueError("a number is missing, or is none")
    return values


def _matching(by_id: dict[str, tuple[Any, ...]], wanted: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield rows whose id or channel holds a text, upper and lower case alike."""
    for row_id, values in by_id.items():
        label = values[1]
        if wanted in row_id.casefold() or (isinstance(label, str) and wanted in label.casefold()):
            yield row_id, values
