"""Which copy of a chunk is read where several lakes have it."""

from __future__ import annotations

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


def sources() -> list[Source]:
    """The own lake, and one that --from names."""
    return [Source("file:///here", MemoryStore(), foreign=False), Source("file:///there", MemoryStore(), foreign=True)]


async def put(source: Source, last: int) -> None:
    told = ChunkProvenance(topic=EVENTS, topic_id=str(TOPIC_ID), partition=0, first=0, last=last, state="open")
    await source.store.put(KEY, b"%d" % last, told.encode(), etag=None)


@pytest.mark.parametrize(("own", "other"), [(4, 9), (9, 4), (9, 9)])
async def test_of_two_copies_the_longer_one_counts_and_of_equal_ones_the_own(own: int, other: int) -> None:
    here, there = sources()
    await put(here, own)
    await put(there, other)

    (found,) = (await find_objects([here, there], DT, dedupe=False)).objects

    assert found.source.url == ("file:///there" if other > own else "file:///here")
    assert ChunkProvenance.decode(found.key, found.metadata).last == 9


async def test_a_copy_without_metadata_stands_behind_one_that_has_them() -> None:
    here, there = sources()
    await here.store.put(KEY, b"copied by a tool that leaves metadata out", {}, etag=None)
    await put(there, 4)

    (found,) = (await find_objects([here, there], DT, dedupe=False)).objects

    assert found.source.url == "file:///there"
