"""The holder of a raw partition, over an in-memory lake, with its write loop running."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import time
import uuid

import pytest
from aiokafka.structs import ConsumerRecord

from sinks.archive import MAX_WAITING_BYTES, ArchiveGapError, ArchiveLane
from sinks.keys import RAW, ChunkKey
from sinks.precedence import LakeMismatchError, ReadAgainError
from sinks.provenance import ChunkProvenance
from sinks.raw_objects import RawObjects
from sinks.store import MemoryStore
from streams.contract.days import DAY_MS, HOUR_MS
from streams.contract.topics import EVENTS
from tests.bad_stores import FailTimes, UnreliableStore

START = 20_000 * DAY_MS + 5 * HOUR_MS
TOPIC_ID = uuid.UUID("01ec8821-a93a-4f72-aab2-0bec25d3b004")
FIRST_KEY = f"raw/2024/10/04/{EVENTS}-01ec8821-3-{0:020}.ndjson.gz"


def event(offset, *, hour=0, control=False):
    ms = START + hour * HOUR_MS
    value = b"" if control else b'{"n":%d,"received_at":%d}\n' % (offset, ms)
    headers = (("control", b"forget"),) if control else ()
    return ConsumerRecord(EVENTS, 3, offset, ms, 1, b"client", value, None, 6, len(value), headers)


def lane_on(store, *, refresh_s=0.02, partition=3):
    return ArchiveLane(RawObjects(store, EVENTS, TOPIC_ID, partition), refresh_s)


@contextlib.asynccontextmanager
async def running(lane):
    task = asyncio.create_task(lane.run())
    try:
        yield task
    finally:
        lane.stop(flush=False)
        await asyncio.wait([task])


async def archive(lane, log, *, start=0):
    """Locate, feed and flush a lane, as a worker's whole life; `log` holds offsets from `start` on."""
    end = start + len(log)
    offset = await lane.locate(start, end)
    lane.feed(log[offset - start :], end)
    lane.stop(flush=True)
    await lane.run()
    return offset


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- lanes raise no events
            await asyncio.sleep(0)


async def objects(store):
    """Return the objects as (extent, state, numbers of the events in them)."""
    found = {}
    for key in await store.keys(RAW):
        stored = await store.get(key)
        said = ChunkProvenance.decode(key, stored.stat.metadata)
        assert ChunkKey.parse(key).first == said.first
        text = gzip.decompress(stored.body)
        numbers = [int(line.split(b":")[1].split(b",")[0]) for line in text.split(b"\n")[:-1]]
        found[key] = (said.first, said.last, said.state, numbers)
    return list(found.values())


async def test_records_become_objects_that_say_how_far_they_go():
    store = MemoryStore()
    lane = lane_on(store)

    await archive(lane, [event(0), event(1), event(2, hour=1)])

    assert await objects(store) == [(0, 1, "closed", [0, 1]), (2, 2, "open", [2])]
    assert (await store.keys(RAW))[0] == FIRST_KEY
    stat = await store.head(FIRST_KEY)
    assert stat.metadata["topic-id"] == str(TOPIC_ID)
    assert lane.done() == 3


async def test_an_open_object_is_written_again_at_most_each_refresh_interval():
    store, times = UnreliableStore(MemoryStore()), []

    async def note(_):
        times.append(time.monotonic())

    store.before_put = note
    lane = lane_on(store, refresh_s=0.1)
    await lane.locate(0, 0)
    async with running(lane):
        for offset in range(40):
            lane.feed([event(offset)], offset + 1)
            await asyncio.sleep(0.01)
        await until(lambda: lane.done() == 40)

    assert len(times) >= 3
    assert all(0.099 <= after - before < 1 for before, after in itertools.pairwise(times)), times
    assert set(store.puts) == {FIRST_KEY}


async def test_after_a_restart_an_open_object_is_read_again_and_a_closed_one_is_not():
    store = MemoryStore()
    log = [event(0), event(1), event(2)]
    assert await archive(lane_on(store), log) == 0
    log += [event(3), event(4, hour=1)]
    assert await archive(lane_on(store), log) == 0
    log += [event(5, hour=1), event(6, hour=2), event(7, hour=2, control=True)]
    assert await archive(lane_on(store), log) == 4
    log += [event(8, hour=2)]

    assert await archive(lane_on(store), log) == 8
    assert await objects(store) == [
        (0, 3, "closed", [0, 1, 2, 3]),
        (4, 5, "closed", [4, 5]),
        (6, 7, "closed", [6]),
        (8, 8, "open", [8]),
    ]


async def test_any_history_of_restarts_gives_the_same_objects():
    log = [event(n, hour=n // 4, control=n % 7 == 5) for n in range(20)]
    straight, restarted = MemoryStore(), MemoryStore()
    await archive(lane_on(straight), log)

    for length in (1, 1, 6, 7, 13, 20):
        await archive(lane_on(restarted), log[:length])

    assert await restarted.keys("") == await straight.keys("")
    for key in await straight.keys(""):
        assert (await restarted.get(key)) == (await straight.get(key))


async def test_a_control_record_leaves_no_line_and_is_counted_as_done():
    store = MemoryStore()
    lane = lane_on(store)

    await archive(lane, [event(0, control=True)])

    assert await objects(store) == [(0, 0, "closed", [])]
    assert lane.done() == 1


async def test_records_without_lines_that_the_log_has_forgotten_are_no_gap():
    """Two commands, then nothing until the log has dropped both: no event is missing, and a start has to see that."""
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1, control=True), event(2, control=True)])

    assert await lane_on(store).locate(3, 3) == 3


async def test_each_partition_sees_its_own_objects_only():
    store = MemoryStore()
    await archive(lane_on(store, partition=30), [event(0), event(1)])
    other = RawObjects(store, EVENTS, uuid.UUID(int=5), 3)
    await archive(ArchiveLane(other, 0.02), [event(0)])

    assert await archive(lane_on(store), [event(0)]) == 0
    assert len(await store.keys(RAW)) == 3


async def test_the_newest_object_is_found_across_days_and_years():
    store = MemoryStore()
    hours = [0, 1, 24, 24 * 40, 24 * 400]
    log = [event(n, hour=hour) for n, hour in enumerate(hours)]
    await archive(lane_on(store), log)

    assert await archive(lane_on(store), [*log, event(5, hour=24 * 400)]) == 4


async def test_a_broker_clock_that_went_back_over_midnight_hides_no_object():
    store = MemoryStore()
    log = [event(0), event(1, hour=24), event(2, hour=23)]
    await archive(lane_on(store), log[:2])
    await archive(lane_on(store), log)

    assert await archive(lane_on(store), [*log, event(3, hour=23)]) == 2


async def test_an_answer_that_never_came_is_settled_by_looking():
    store = UnreliableStore(MemoryStore())
    store.after_put = FailTimes(1)
    lane = lane_on(store)

    await archive(lane, [event(0), event(1, hour=1)])

    assert await objects(store) == [(0, 0, "closed", [0]), (1, 1, "open", [1])]
    assert len(store.puts) == 2


async def test_an_outage_is_waited_out(monkeypatch):
    monkeypatch.setattr("sinks.patience.FIRST_WAIT_S", 0.001)
    store = UnreliableStore(MemoryStore())
    store.before_put, store.before_read = FailTimes(4), FailTimes(4)
    lane = lane_on(store)

    await archive(lane, [event(0), event(1, hour=1)])

    assert await objects(store) == [(0, 0, "closed", [0]), (1, 1, "open", [1])]
    assert lane.done() == 2


async def test_records_that_the_lake_does_not_take_stop_the_feed():
    store = UnreliableStore(MemoryStore())
    gate = asyncio.Event()
    store.before_put = lambda _: gate.wait()
    lane = lane_on(store, refresh_s=0.001)
    await lane.locate(0, 0)
    async with running(lane):
        offset = 0
        while not lane.full:
            value = b"x" * 1_000_000 + b"\n"
            record = ConsumerRecord(EVENTS, 3, offset, START, 1, b"c", value, None, 1, len(value), ())
            lane.feed([record], offset + 1)
            offset += 1
            await asyncio.sleep(0)
            assert offset * 1_000_000 < 3 * MAX_WAITING_BYTES
        gate.set()
        await until(lambda: not lane.full)
        await until(lambda: lane.done() == offset)


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
