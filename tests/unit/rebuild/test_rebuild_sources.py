"""Which copy of a chunk is read where several lakes have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from sinks.keys import ChunkKey, topic8
from sinks.provenance import ChunkProvenance
from sinks.rebuild_sources import Source, find_objects
from sinks.store import MemoryStore
from streams.contract.topics import EVENTS

TOPIC_ID = UUID(int=7)
DT = "2026-01-05"
KEY = ChunkKey(DT, EVENTS, topic8(TOPIC_ID), 0, 0).encode()


@dataclass
class Place:
    url: str
    foreign: bool
    store: MemoryStore = field(default_factory=MemoryStore)

    async def put(self, last: int) -> None:
        told = ChunkProvenance(
            topic=EVENTS, topic_id=str(TOPIC_ID), partition=0, first=0, last=last, state="open"
        ).encode()
        await self.store.put(KEY, b"%d" % last, told, etag=None)


@pytest.mark.parametrize(("own", "other"), [(4, 9), (9, 4), (9, 9)])
async def test_of_two_copies_the_longer_one_counts_and_of_equal_ones_the_own(own: int, other: int) -> None:
    here, there = Place("file:///here", foreign=False), Place("file:///there", foreign=True)
    await here.put(own)
    await there.put(other)

    sources = [Source(place.url, place.store, place.foreign) for place in (here, there)]
    (found,) = (await find_objects(sources, DT, dedupe=False)).objects

    assert found.source.url == ("file:///there" if other > own else "file:///here")
    assert ChunkProvenance.decode(found.key, found.metadata).last == 9


async def test_a_copy_without_metadata_stands_behind_one_that_has_them() -> None:
    here, there = Place("file:///here", foreign=False), Place("file:///there", foreign=True)
    await here.store.put(KEY, b"copied by a tool that leaves metadata out", {}, etag=None)
    await there.put(4)

    sources = [Source(place.url, place.store, place.foreign) for place in (here, there)]
    (found,) = (await find_objects(sources, DT, dedupe=False)).objects

    assert found.source.url == "file:///there"
