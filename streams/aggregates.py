"""The rolling aggregates of one raw partition: its shares of every open row, and which of them have changed."""

from __future__ import annotations

from typing import Final, Self

from streams.contract.keys import PartialKey, shard_of
from streams.contract.rows import TABLE_BY_KIND, Kind
from streams.state_records import VERSION, Share, decode, encode

#: A stored key begins with its day.
_DT_BYTES: Final = len("YYYY-MM-DD")
_WIDTH: Final = {kind: len(table.counters) for kind, table in TABLE_BY_KIND.items()}


class Aggregate:
    """One share: counters of one row from one raw partition."""

    __slots__ = ("_shard", "at", "changed", "channel", "channel_ts", "counters", "key")

    def __init__(self, key: bytes, counters: list[int]) -> None:
        self.key = key
        #: Partition of `watch.partials`; -1 until it is asked for, then kept: a busy row is in each transaction.
        self._shard = -1
        self.counters = counters
        #: Raw offset and broker time (ms) of the newest record in the counters.
        self.at = (-1, 0)
        self.channel: str | None = None
        self.channel_ts = 0
        self.changed = False

    @classmethod
    def restored(cls, key: bytes, value: bytes, width: int) -> Self:
        """Return a stored share, with as many counters as this release keeps."""
        share = decode(Share, value)
        aggregate = cls(key, share.counters + [0] * (width - len(share.counters)))
        aggregate.at = share.offset, share.updated_at
        aggregate.channel, aggregate.channel_ts = share.channel, share.channel_ts
        return aggregate

    def shard(self, shards: int) -> int:
        """Return the partition of `watch.partials`, of so many, that the share is written to."""
        if self._shard < 0:
            dt, kind, row_id, _ = PartialKey.decode(self.key)
            self._shard = shard_of(dt, kind, row_id, shards)
        return self._shard

    def name_channel(self, channel: str, delivered_ms: int) -> None:
        """Take the channel of the latest delivery; of equal ones the greater name in UTF-8 bytes."""
        if delivered_ms > self.channel_ts or self.channel is None:
            self.channel, self.channel_ts = channel, delivered_ms
        elif delivered_ms == self.channel_ts and channel != self.channel and channel.encode() > self.channel.encode():
            self.channel = channel

    def encode(self, generation: int) -> bytes:
        """Return the stored form."""
        offset, updated_at = self.at
        return encode(
            Share(
                v=VERSION,
                offset=offset,
                counters=self.counters,
                updated_at=updated_at,
                channel=self.channel,
                channel_ts=self.channel_ts,
                generation=generation,
            )
        )


class Aggregates:
    """The shares of raw partition `p`, by day, kind and id."""

    def __init__(self, p: int) -> None:
        self._p = p
        #: Shares as they are stored, by day and key.
        self._stored: dict[str, dict[bytes, bytes]] = {}
        self._days: dict[str, dict[Kind, dict[str, Aggregate]]] = {}
        self._changed: list[Aggregate] = []

    def keep(self, key: bytes, value: bytes) -> None:
        """Take over a stored share: it is decoded when its row is asked for, and most never are.

        Whether this release can read it was told by the marker, which is written with it.
        """
        self._stored.setdefault(key[:_DT_BYTES].decode(), {})[key] = value

    # Called several times for each event: plain positional arguments are the cheapest.
    def add(  # noqa: PLR0913, PLR0917
        self, dt: str, kind: Kind, row_id: str, column: int, amount: int, at: tuple[int, int]
    ) -> Aggregate:
        """Add `amount` to one counter of one row. `at`: (raw offset, broker time in ms) of the record."""
        try:
            aggregate = self._days[dt][kind][row_id]
        except KeyError:
            aggregate = self._new(dt, kind, row_id)
        aggregate.counters[column] += amount
        aggregate.at = at
        if not aggregate.changed:
            aggregate.changed = True
            self._changed.append(aggregate)
        return aggregate

    def _new(self, dt: str, kind: Kind, row_id: str) -> Aggregate:
        key = PartialKey(dt, kind, row_id, self._p).encode()
        stored = self._stored.get(dt, {}).pop(key, None)
        width = _WIDTH[kind]
        aggregate = Aggregate(key, [0] * width) if stored is None else Aggregate.restored(key, stored, width)
        self._days.setdefault(dt, {}).setdefault(kind, {})[row_id] = aggregate
        return aggregate

    def __len__(self) -> int:
        """Return the number of shares."""
        stored = sum(map(len, self._stored.values()))
        return stored + sum(len(rows) for day in self._days.values() for rows in day.values())

    def drop_row(self, kind: Kind, row_id: str) -> list[Aggregate]:
        """Drop the shares of a row of every day; return them."""
        rows = [kinds[kind] for kinds in self._days.values() if kind in kinds]
        dropped = [day.pop(row_id) for day in rows if row_id in day]
        for dt, stored in self._stored.items():
            key = PartialKey(dt, kind, row_id, self._p).encode()
            if stored.pop(key, None) is not None:
                dropped.append(Aggregate(key, []))
        self._changed = [aggregate for aggregate in self._changed if aggregate not in dropped]
        return dropped

    def take_changed(self) -> list[Aggregate]:
        """Return the shares that changed since the last call."""
        taken, self._changed = self._changed, []
        for aggregate in taken:
            aggregate.changed = False
        return taken

    @property
    def changed_count(self) -> int:
        """How many shares changed since they were last taken."""
        return len(self._changed)

    def drop_days_before(self, dt: str) -> None:
        """Drop all of the days before `dt` from memory; what changed of them is still given by `take_changed`."""
        for days in (self._days, self._stored):
            for day in [day for day in days if day < dt]:
                del days[day]
