"""Which copy of a chunk is read where several lakes have it."""

from __future__ import annotations

from uuid import UUID

import pytest

from sinks.keys import ChunkKey, topic8
from sinks.provenance import ChunkProvenance
from sinks.raw_days import RawHoleError
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


async def put_chunk(source: Source, dt: str, first: int, last: int) -> None:
    told = ChunkProvenance(topic=EVENTS, topic_id=str(TOPIC_ID), partition=0, first=first, last=last, state="closed")
    await source.store.put(ChunkKey(dt, EVENTS, topic8(TOPIC_ID), 0, first).encode(), b"", told.encode(), etag=None)


#: The last day before the window of DT, three in it, and the first one behind it.
ARCHIVE = {"2025-12-20": (0, 9), "2025-12-21": (10, 19), "2026-01-05": (20, 29), "2026-01-14": (30, 39)}
BEHIND = {"2026-01-15": (40, 49)}


@pytest.mark.parametrize(
    ("gone", "hole"),
    [
        ((), None),
        (("2025-12-21",), "offsets 10 to 19 are in no raw object before"),
        (("2026-01-14",), "offsets 30 to 39 are in no raw object before"),
        (("2025-12-21", "2026-01-05", "2026-01-14"), "offsets 10 to 39 are in no raw object before"),
        (("2025-12-20", "2025-12-21"), None),  # as if the archive had begun there
    ],
)
async def test_an_object_that_is_gone_from_an_edge_of_the_window_is_missed(
    gone: tuple[str, ...], hole: str | None
) -> None:
    here, there = sources()
    left = {dt: offsets for dt, offsets in (ARCHIVE | BEHIND).items() if dt not in gone}
    for dt, (first, last) in left.items():
        await put_chunk(here, dt, first, last)
    if "2025-12-20" in left:
        await put_chunk(there, "2025-12-20", 0, 4)  # a copy that was made while it grew
    else:
        await put_chunk(there, DT, *ARCHIVE[DT])

    if hole is None:
        found = (await find_objects([here, there], DT, dedupe=False)).objects
        assert [one.dt for one in found] == [dt for dt in ARCHIVE if dt in left and dt != "2025-12-20"]
    else:
        with pytest.raises(RawHoleError, match=hole):
            await find_objects([here, there], DT, dedupe=False)


async def test_what_is_left_of_a_lake_does_not_keep_a_whole_copy_of_the_days_from_being_read() -> None:
    here, there = sources()
    for dt, (first, last) in ARCHIVE.items():
        await put_chunk(there, dt, first, last)
    await put_chunk(here, "2026-01-20", 90, 99)

    assert len((await find_objects([here, there], DT, dedupe=False)).objects) == 3
