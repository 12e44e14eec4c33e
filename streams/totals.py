"""The sums over raw partitions: shares of rows in, rows that differ from what is published out. Pure.

A row's counters only grow, so a total below the published one means that shares were lost or folded anew under the
same generation; it is an error, never corrected in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.event import int64_or_none
from streams.contract.keys import PartialKey, daily_key
from streams.contract.rows import CLIENT, TABLE_BY_KIND, Kind, Table, encode_row, row_of
from streams.state_records import Refold, Share


class LowerTotalError(Exception):
    """A total came out below what is already published."""


class Published(NamedTuple):
    """A row of a daily topic as it stands."""

    counters: list[int]
    channel: str | None
    generation: int


class DailyRow(NamedTuple):
    """A row to publish."""

    table: Table
    key: bytes
    #: None: the row is gone.
    value: bytes | None
    generation: int


#: In place of a raw partition: the zeros of a row that no share is left of.
_NOBODY: Final = -1


class _Row:
    __slots__ = ("published", "shares")

    def __init__(self) -> None:
        self.shares: dict[int, Share] = {}
        self.published: Published | None = None


RowId = tuple[str, Kind, str]


class Totals:
    """All rows of one shard: the newest share of each raw partition, and what is published of their sum."""

    def __init__(self) -> None:
        self._rows: dict[RowId, _Row] = {}
        self._changed: dict[RowId, _Row] = {}
        self._refold: Refold | None = None
        self._folded: set[int] = set()

    def __len__(self) -> int:
        """Return the number of rows kept."""
        return len(self._rows)

    @property
    def changed_count(self) -> int:
        """How many rows may differ from what is published; 0 while a refold has not reached its ends."""
        return len(self._changed) if self._is_whole() else 0

    @property
    def settled(self) -> bool:
        """Whether all that was taken is published."""
        return not self._changed

    def put_refold(self, refold: Refold) -> None:
        """Hold back all rows until every raw partition is folded again."""
        self._refold = refold

    def put_folded(self, p: int, generation: int) -> None:
        """Take note that raw partition `p` has reached the end that it had when the refold began."""
        if self._refold is not None and generation == self._refold.generation:
            self._folded.add(p)
        if self._is_whole():
            self._changed.update(self._outdated_rows())

    def _is_whole(self) -> bool:
        return self._refold is None or len(self._folded) == self._refold.partitions

    def _outdated_rows(self) -> Iterator[tuple[RowId, _Row]]:
        """Give the published rows of refolded days that no share is left of: they become zeros."""
        refold = self._refold
        if refold is None:
            return
        for row_id, row in self._rows.items():
            if not row.shares and row_id[0] >= refold.first_dt and row.published:
                row.shares[_NOBODY] = Share(counters=[], generation=refold.generation)
                yield row_id, row

    def put_share(self, key: PartialKey, share: Share) -> None:
        """Take the newest share of one raw partition."""
        row_id = (key.dt, key.kind, key.row_id)
        row = self._row(row_id)
        row.shares.pop(_NOBODY, None)
        row.shares[key.p] = share
        self._changed[row_id] = row

    def drop_share(self, key: PartialKey) -> None:
        """Take away the share of one raw partition: the row is about a client that was forgotten."""
        row_id = (key.dt, key.kind, key.row_id)
        row = self._row(row_id)
        row.shares.pop(key.p, None)
        self._changed[row_id] = row

    def put_published(self, table: Table, dt: str, row_id: str, row: Mapping[str, Any], generation: int) -> None:
        """Take a row as it stands in the daily topic; AttributeError or TypeError when it is none."""
        counters, channel = [row.get(name, 0) for name in table.counters], row.get("channel")
        if any(int64_or_none(counter) is None for counter in counters) or not isinstance(channel, str | None):
            raise TypeError(f"a counter or the channel of {row_id!r} is of another kind: {counters} {channel!r}")
        self._row((dt, table.kind, row_id)).published = Published(counters, channel, generation)

    def drop_published(self, table: Table, dt: str, row_id: str) -> None:
        """Take note that a row is gone from the daily topic."""
        self._row((dt, table.kind, row_id)).published = None

    def _row(self, row_id: RowId) -> _Row:
        row = self._rows.get(row_id)
        if row is None:
            row = self._rows[row_id] = _Row()
        return row

    def take_differences(self, most: int | None = None) -> Iterator[DailyRow]:
        """Give each of up to `most` changed rows whose sum differs from what is published, and take it as published."""
        if not self._is_whole():
            return
        for _ in range(len(self._changed) if most is None else min(most, len(self._changed))):
            (dt, kind, row_id), row = self._changed.popitem()
            table = TABLE_BY_KIND[kind]
            if not row.shares:
                del self._rows[dt, kind, row_id]
                if row.published is not None:
                    yield DailyRow(table, daily_key(dt, kind, row_id), None, row.published.generation)
                continue
            total = _total(list(row.shares.values()), len(table.counters))
            if row.published is not None:
                if total[:2] == row.published[:2]:
                    continue
                _check_growth((dt, kind, row_id), table, row.published, total)
            row.published = total
            value = encode_row(
                row_of(table, dt, row_id, total.counters, total.channel),
                max(share.updated_at for share in row.shares.values()),
            )
            yield DailyRow(table, daily_key(dt, kind, row_id), value, total.generation)

    def drop_days_before(self, dt: str) -> None:
        """Drop the rows of days before `dt`: nothing of them can change any more."""
        for row_id in [row_id for row_id in self._rows if row_id[0] < dt]:
            del self._rows[row_id]
            self._changed.pop(row_id, None)


def _total(shares: Sequence[Share], width: int) -> Published:
    """Return the sum of shares, and the channel of the latest delivery (ties: the greater name in UTF-8)."""
    generation = max(share.generation for share in shares)
    if len(shares) == 1:
        counters = _padded(shares[0].counters, width)
    else:
        counters = [sum(column) for column in zip(*(_padded(share.counters, width) for share in shares), strict=True)]
    named = [share for share in shares if share.channel is not None]
    newest = max(named, key=lambda share: (share.channel_ts, str(share.channel).encode()), default=None)
    return Published(counters, newest.channel if newest else None, generation)


def _padded(counters: list[int], width: int) -> list[int]:
    """Return counters of an older, narrower shape with the absent ones as 0."""
    return counters + [0] * (width - len(counters))


def _check_growth(row_id: RowId, table: Table, published: Published, total: Published) -> None:
    if total.generation > published.generation or table is CLIENT:  # a forgotten client that comes back starts anew
        return
    for name, before, now in zip(table.counters, published.counters, total.counters, strict=True):
        if now < before:
            raise LowerTotalError(
                f"{table.name} row {orjson.dumps(row_id).decode()}: {name} is {before} in the topic, its shares sum up "
                f"to {now}: "
                "shares of it were lost; `watchtime refold` folds the raw topic again"
            )
