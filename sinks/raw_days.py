"""The raw archive, day by day: which chunks there are, in order, and whether offsets are missing.

Chunks of a partition follow each other by offset; that nothing is missing between them is checked here, so that a
recount cannot agree with files that lack the same events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sinks.keys import ChunkKey, day_folder
from sinks.provenance import ChunkProvenance
from sinks.store import Store, StoredObject
from streams.contract.days import shift_dt

#: Raw days that may hold a delivery of a day's events or what these repeat, relative to the day.
FIRST_DAY: Final = -15
LAST_DAY: Final = 9


class RawHoleError(Exception):
    """Offsets are missing from the raw archive, so that a day cannot be counted again."""


class Chunk(NamedTuple):
    """One raw object; chunks sort in the order of deliveries, partition by partition."""

    topic: str
    topic8: str
    partition: int
    first: int
    dt: str
    key: str


def chunk_of(key: str) -> Chunk | None:
    """Return the chunk that a key names, None for other objects (such as the reference's own)."""
    found = ChunkKey.parse(key)
    return found and Chunk(found.topic, found.topic8, found.partition, found.first, found.dt, key)


def raw_days_of(dt: str) -> list[str]:
    """Return the raw days that matter to a day, in order."""
    return [shift_dt(dt, offset) for offset in range(FIRST_DAY, LAST_DAY + 1)]


async def list_chunks(store: Store, raw_days: Collection[str]) -> list[Chunk]:
    """Return the chunks of raw days, in the order of deliveries."""
    listings = await asyncio.gather(*(store.keys(day_folder(day)) for day in raw_days))
    return sorted(chunk for keys in listings for chunk in map(chunk_of, keys) if chunk is not None)


async def read_chunk(store: Store, chunk: Chunk) -> StoredObject:
    """Return a chunk's object."""
    found = await store.get(chunk.key)
    if found is None:
        raise RawHoleError(f"{chunk.key} was listed and is gone: does another program delete raw objects?")
    return found


class Extent(NamedTuple):
    """The offsets from the first one of a partition's oldest chunk to before the next one."""

    first: int
    next: int


class Continuity:
    """Watches the offsets of chunks as they are read, and tells what is missing."""

    def __init__(self) -> None:
        """Start before the first chunk."""
        self._seen: Final[dict[tuple[str, int], Extent]] = {}

    def see(self, chunk: Chunk, metadata: Mapping[str, str]) -> None:
        """Take note of the next chunk in order; RawHoleError when offsets before it are missing."""
        seen = self.follow(chunk)
        place = (chunk.topic8, chunk.partition)
        self._seen[place] = seen._replace(next=ChunkProvenance.decode(chunk.key, metadata).last + 1)

    def follow(self, chunk: Chunk) -> Extent:
        """Return what was seen of a chunk's partition; RawHoleError when it does not reach to the chunk."""
        seen = self._seen.get((chunk.topic8, chunk.partition), Extent(chunk.first, chunk.first))
        expected = seen.next
        if chunk.first < expected:
            raise RawHoleError(
                f"partition {chunk.partition}: offsets {chunk.first} to {expected - 1} are in two raw objects, the "
                f"later one is {chunk.key}",
            )
        if chunk.first > expected:
            raise RawHoleError(
                f"partition {chunk.partition}: offsets {expected} to {chunk.first - 1} are in no raw object before "
                f"{chunk.key}",
            )
        return seen

    def extent(self, topic8: str, partition: int) -> Extent | None:
        """Return which offsets of a partition were seen; None when it has no chunk."""
        return self._seen.get((topic8, partition))
