"""Whose raw object stands, and which offsets there may be: several workers, gaps, objects that are another's."""

from __future__ import annotations

import uuid

import pytest

from sinks.archive import ArchiveGapError, ArchiveLane
from sinks.precedence import LakeMismatchError, ReadAgainError
from sinks.raw_objects import RawObjects
from sinks.store import MemoryStore
from streams.contract.topics import EVENTS
from tests.bad_stores import FailTimes, UnreliableStore
from tests.unit.sinks.archive_lanes import archive, event, lane_on, objects


async def test_of_two_workers_the_one_that_knows_less_reads_again():
    store = UnreliableStore(MemoryStore())
    slow, quick = lane_on(store), lane_on(store.inner)
    log = [event(0), event(1), event(2, hour=1)]

    async def overtake(_):
        store.before_put = FailTimes(0)
        await archive(quick, log)

    store.before_put = overtake
    with pytest.raises(ReadAgainError, match="up to offset 1"):
        await archive(slow, log[:1])
    assert slow.done() is None

    assert await archive(slow, log) == 2
    assert await objects(store) == [(0, 1, "closed", [0, 1]), (2, 2, "open", [2])]


async def test_an_older_worker_s_late_write_is_replaced_by_more():
    store = UnreliableStore(MemoryStore())
    new, old = lane_on(store), lane_on(store.inner)
    log = [event(0), event(1)]

    async def late(_):
        store.before_put = FailTimes(0)
        await archive(old, log[:1])

    store.before_put = late
    await archive(new, log)

    assert await objects(store) == [(0, 1, "open", [0, 1])]


async def test_offsets_that_are_neither_in_an_object_nor_in_the_log_stop_the_archive():
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1), event(2, hour=1), event(3, hour=2)])

    with pytest.raises(ArchiveGapError, match=r"offsets 4 to 8 of watch.events partition 3"):
        await lane_on(store).locate(9, 12)


async def test_an_open_object_whose_records_left_the_log_is_closed_as_it_is():
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1), event(2)])

    assert await archive(lane_on(store), [event(3)], start=3) == 3
    assert await objects(store) == [(0, 2, "closed", [0, 1, 2]), (3, 3, "open", [3])]


async def test_an_empty_archive_begins_where_the_log_does():
    store = MemoryStore()

    assert await archive(lane_on(store), [event(7), event(8)], start=7) == 7
    assert await objects(store) == [(7, 8, "open", [7, 8])]


async def test_an_object_beyond_the_log_s_end_is_an_error():
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1), event(2)])

    lane = lane_on(store)
    with pytest.raises(ReadAgainError):
        await lane.locate(0, 2)
    with pytest.raises(LakeMismatchError, match=r"ends at 2.*lost records"):
        await lane.locate(0, 2)


async def test_an_object_that_grew_since_the_log_s_end_was_asked_for_is_no_error():
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1), event(2)])

    lane = lane_on(store)
    with pytest.raises(ReadAgainError):
        await lane.locate(0, 2)
    assert await lane.locate(0, 3) == 0


async def test_an_object_of_another_topic_id_under_our_key_is_not_touched():
    """Eight equal digits are no proof; the whole id in the metadata is."""
    store = MemoryStore()
    twin = uuid.UUID("01ec8821-0000-4f72-aab2-0bec25d3b004")
    await archive(ArchiveLane(RawObjects(store, EVENTS, twin, 3), 0.02), [event(0)])

    with pytest.raises(LakeMismatchError, match=str(twin)):
        await lane_on(store).locate(0, 1)
