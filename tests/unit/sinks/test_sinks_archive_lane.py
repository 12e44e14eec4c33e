"""The holder of a raw partition, over an in-memory lake: what is written, and when."""

from __future__ import annotations

import asyncio
import time
import uuid

from aiokafka.structs import ConsumerRecord

from sinks import metrics
from sinks.archive import MAX_WAITING_BYTES, ArchiveLane
from sinks.keys import RAW
from sinks.raw_objects import RawObjects
from sinks.store import MemoryStore
from streams.contract.topics import EVENTS
from tests.bad_stores import FailTimes, UnreliableStore
from tests.unit.sinks.archive_lanes import FIRST_KEY, START, TOPIC_ID, archive, event, lane_on, objects
from tests.unit.sinks.lanes import running, until


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
    store = UnreliableStore(MemoryStore())
    lane = lane_on(store, refresh_s=0.1)
    await lane.locate(0, 0)
    started = time.monotonic()
    async with running(lane):
        for offset in range(40):
            lane.feed([event(offset)], offset + 1)
            await asyncio.sleep(0.01)
        await until(lambda: lane.done() == 40)

    assert 3 <= len(store.puts) <= 1 + (time.monotonic() - started) / 0.1
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


async def test_what_is_read_again_after_a_restart_does_not_count_as_unwritten():
    store = MemoryStore()
    log = [event(0), event(1), event(2)]
    await archive(lane_on(store), log)
    lane = lane_on(store)
    lane.feed(log[await lane.locate(0, 3) :], 3)

    def age():
        lane.observe(0)
        return metrics.REGISTRY.get_sample_value("watchtime_sinks_dirty_seconds", {"topic": EVENTS, "partition": "3"})

    assert age() > 0
    async with running(lane):
        await until(lambda: age() == 0)
