"""The holder of a daily topic's partition, over an in-memory lake: what is written, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from sinks import metrics
from sinks.files import day_file
from sinks.keys import FileKey
from sinks.store import MemoryStore, content_hash
from sinks.tables import DayTable
from streams.contract.days import DAY_MS, dt_of_ms
from streams.contract.rows import CHANNEL
from tests.bad_stores import FailTimes, UnreliableStore
from tests.unit.sinks.lanes import running, until
from tests.unit.sinks.table_lanes import DT, EARLIER, KEY, NOW, TOPIC_ID, lane_on, provenance, row, write_all


async def test_a_changed_day_becomes_a_file_that_says_where_it_is_from():
    store = MemoryStore()
    lane = lane_on(store)

    await write_all(lane, [row(3, "b", 2), row(4, "a", 5), row(5, "x", 1, dt=EARLIER)])

    assert await store.keys("") == [KEY.replace(DT, EARLIER), KEY]
    said = provenance(await store.head(KEY))
    assert (said.topic, said.topic_id, said.offset, said.generation) == ("watch.channel_daily", TOPIC_ID, 4, 0)
    assert (said.totals.rows, said.totals.sums["watch_ms"]) == (2, 7)
    assert said.content_hash == content_hash((await store.get(KEY)).body)
    assert lane.done() == 6


async def test_nothing_is_written_before_the_log_has_been_read_to_its_end():
    store = UnreliableStore(MemoryStore())
    lane = lane_on(store)
    assert await lane.locate(0, 3) == 0
    async with running(lane):
        lane.feed([row(0, "a", 1), row(1, "a", 2)], 2)
        await asyncio.sleep(0.05)
        assert (store.puts, lane.ready, lane.done()) == ([], False, None)

        lane.feed([row(2, "a", 3)], 3)
        await until(lambda: lane.done() == 3)

    assert store.puts == [KEY]
    assert lane.ready


async def test_a_file_is_written_at_most_each_refresh_interval_and_promptly_after_it():
    store = UnreliableStore(MemoryStore())
    lane = lane_on(store, refresh_s=0.1)
    await lane.locate(0, 0)
    started = time.monotonic()
    async with running(lane):
        for offset in range(40):
            lane.feed([row(offset, "a", offset + 1)], offset + 1)
            await asyncio.sleep(0.01)
        await until(lambda: lane.done() == 40)

    assert 3 <= len(store.puts) <= 1 + (time.monotonic() - started) / 0.1


async def test_a_day_that_rested_is_written_at_once():
    store = UnreliableStore(MemoryStore())
    lane = lane_on(store, refresh_s=60)
    await lane.locate(0, 0)
    async with running(lane):
        lane.feed([row(0, "a", 1)], 1)
        await until(lambda: lane.done() == 1)

    assert store.puts == [KEY]


async def test_equal_content_is_not_written_again():
    store = UnreliableStore(MemoryStore())
    lane = lane_on(store, refresh_s=0.01)
    await lane.locate(0, 0)
    async with running(lane):
        for offset in range(4):
            lane.feed([row(offset, "a", 7)], offset + 1)
            await until(lambda done=offset + 1: lane.done() == done)

    assert store.puts == [KEY]


async def test_a_restarted_worker_writes_only_what_the_files_do_not_know():
    store = UnreliableStore(MemoryStore())
    records = [row(0, "a", 1), row(1, "b", 1, dt=EARLIER), row(2, "a", 2)]
    await write_all(lane_on(store), records)
    before = list(store.puts)

    await write_all(lane_on(store), [*records, row(3, "a", 5)])

    assert store.puts == [*before, KEY]


async def test_any_history_of_restarts_gives_the_same_bytes():
    records = [row(n, f"c{n * 7 % 5}", n + 1) for n in range(20)]
    straight, restarted = MemoryStore(), MemoryStore()
    await write_all(lane_on(straight), records)

    for length in (3, 3, 11, 20):
        await write_all(lane_on(restarted), records[:length])

    assert (await restarted.get(KEY)).body == (await straight.get(KEY)).body


async def test_an_answer_that_never_came_is_settled_by_looking():
    """The write happened, the answer was lost: the file is ours, and is not written twice."""
    store = UnreliableStore(MemoryStore())
    store.after_put = FailTimes(1)
    lane = lane_on(store)

    await write_all(lane, [row(0, "a", 1)])

    assert store.puts == [KEY]
    assert lane.done() == 1


async def test_an_outage_is_waited_out_while_rows_are_still_taken(monkeypatch):
    monkeypatch.setattr("sinks.patience.FIRST_WAIT_S", 0.001)
    store = UnreliableStore(MemoryStore())
    store.before_put, store.before_read = FailTimes(3), FailTimes(3)
    lane = lane_on(store, refresh_s=0.01)
    await lane.locate(0, 0)
    async with running(lane):
        for offset in range(3):
            lane.feed([row(offset, "a", offset + 1)], offset + 1)
        await until(lambda: lane.done() == 3)

    assert provenance(await store.head(KEY)).totals.sums["watch_ms"] == 3


async def test_days_past_their_age_are_not_written_and_count_as_done():
    store = MemoryStore()
    lane = lane_on(store)
    old = dt_of_ms(NOW - 34 * DAY_MS)
    just = dt_of_ms(NOW - 33 * DAY_MS)

    await write_all(lane, [row(0, "a", 5, dt=old), row(1, "a", 5, dt=just)])

    assert [FileKey.parse(key).dt for key in await store.keys("")] == [just]
    assert lane.done() == 2


async def test_memory_is_kept_when_the_partition_comes_back():
    store = MemoryStore()
    lane = lane_on(store)
    await write_all(lane, [row(0, "a", 5), row(1, "b", 5)])

    assert await lane.locate(0, 3) == 2
    lane.feed([row(2, "a", 9)], 3)
    lane.stop(flush=True)
    await lane.run()

    assert provenance(await store.head(KEY)).totals.rows == 2


async def test_memory_is_dropped_when_the_log_no_longer_reaches_back_to_it():
    lane = lane_on(MemoryStore())
    await write_all(lane, [row(0, "a", 5)])

    assert await lane.locate(7, 9) == 7
    lane.feed([row(8, "b", 1)], 9)

    assert lane.done() == 8


async def test_a_write_that_was_cut_off_is_made_up_for():
    store = UnreliableStore(MemoryStore())
    hang = asyncio.Event()
    store.before_put = lambda _: hang.wait()
    lane = lane_on(store)
    await lane.locate(0, 0)
    task = asyncio.create_task(lane.run())
    lane.feed([row(0, "a", 5)], 1)
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert lane.done() == 0

    hang.set()
    assert await lane.locate(0, 1) == 1
    lane.stop(flush=True)
    await lane.run()

    assert store.puts == [KEY]
    assert lane.done() == 1


def test_the_file_in_these_tests_is_the_one_of_the_pure_function():
    table = DayTable(CHANNEL)
    record = row(0, "a", 5)
    table.apply(record.key, record.value, 0, 0, oldest=EARLIER)

    assert day_file(CHANNEL, table.snapshot(DT), "parquet").totals.rows == 1


async def test_a_record_that_is_no_row_is_passed_over_and_counted():
    """Somebody else's: the row that it names stays as it was, and no record of the partition waits for it."""
    store = MemoryStore()
    counter = metrics.UNREADABLE_ROWS.labels(table="channel_daily")
    before = counter._value.get()
    others = [dataclasses.replace(row(1, "a", 7), value=b"{"), dataclasses.replace(row(2, "a", 7), key=b"../../x|a")]

    await write_all(lane_on(store), [row(0, "a", 5), *others, row(3, "b", 1)])

    assert await store.keys("") == [KEY]
    said = provenance(await store.head(KEY))
    assert (said.offset, said.totals.rows, said.totals.sums["watch_ms"]) == (3, 2, 6)
    assert counter._value.get() == before + 2
