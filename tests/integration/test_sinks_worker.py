"""Workers on a real broker; the lake is in memory, a folder or a bucket."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiokafka import AIOKafkaProducer

from sinks import metrics
from sinks.bucket import BucketStore
from sinks.folder import FolderStore
from sinks.keys import ANALYTICS, RAW, topic8
from sinks.store import MemoryStore
from streams.contract.days import shift_dt
from streams.contract.keys import daily_key
from streams.contract.rows import CLIENT, HOUR, INGEST, VIDEO, encode_row, row_of
from streams.contract.topics import CONTROL_FORGET, CONTROL_HEADER, EVENTS
from streams.topic_id import topic_ids
from tests.bad_stores import UnreliableStore
from tests.clock import now_ms, today
from tests.sinks_stage import (
    TABLES,
    Worker,
    file_rows,
    has_row,
    is_settled,
    line,
    publish_day,
    publisher,
    raw_lines,
    settings,
    settled,
    until,
    worker,
)


async def lake_of(store):
    return {key: (await store.get(key)).body for key in await store.keys("")}


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("lake", ["folder", "bucket"])
async def test_rows_and_events_reach_the_lake(lake, shards, fresh_topics, group_prefix, s3, tmp_path, aws):  # noqa: PLR0913, PLR0917
    aws(s3.keys)
    store = FolderStore(tmp_path) if lake == "folder" else BucketStore(s3.bucket(), "x/y", endpoint=s3.endpoint)
    broker = await fresh_topics(partitions=3, shards=shards)
    dt, sent = today(), {p: [line(n * 10 + p, now_ms()) for n in range(5)] for p in range(3)}
    async with publisher(broker, shards) as publish, worker(settings(broker, group_prefix), store):
        await publish_day(publish, dt)
        for p, lines in sent.items():
            await publish.events(p, lines)
        await settled(broker, group_prefix, partitions=3, shards=shards)

    rows = await file_rows(store, VIDEO, dt)
    assert len(rows) == 20
    assert rows["v7"] == {
        "video_id": "v7",
        "channel": "c1",
        "watch_ms": 8,
        "watch_ms_fg": 7,
        "watch_ms_bg": 1,
        "views": 1,
        "ad_ms": 0,
    }
    assert sorted(await file_rows(store, HOUR, dt)) == [7, 23]
    assert (await file_rows(store, INGEST, dt))[""]["total_events"] == 100
    assert {p: await raw_lines(store, p) for p in sent} == sent
    files = await store.keys(f"{ANALYTICS}video_daily/")
    assert len(files) == shards
    assert (files == [f"analytics/video_daily/dt={dt}/data.parquet"]) == (shards == 1)
    eight = topic8((await topic_ids(broker, [EVENTS]))[EVENTS])
    assert all(f"/{EVENTS}-{eight}-" in key for key in await store.keys(RAW))


async def test_a_restart_writes_nothing_new_and_the_same_input_gives_the_same_lake(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    first, second = UnreliableStore(MemoryStore()), MemoryStore()
    dt = today()
    async with publisher(broker) as publish:
        await publish_day(publish, dt)
        await publish_day(publish, shift_dt(dt, -3), scale=2)
        await publish.events(0, [line(n, now_ms()) for n in range(100)])
    async with worker(settings(broker, group_prefix), first):
        await settled(broker, group_prefix)
    written = list(first.puts)

    other = f"{group_prefix}-again"
    async with worker(settings(broker, group_prefix), first), worker(settings(broker, other), second):
        await settled(broker, other)

    assert first.puts == written
    assert await lake_of(first) == await lake_of(second)
    # Each file, each raw object (two when the hour changed meanwhile) and the layout, once.
    assert len(written) == len(set(written)) == 2 * len(TABLES) + len(await first.keys(RAW)) + 1


async def test_a_stop_writes_what_is_left_before_its_interval(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish:
        running = Worker(settings(broker, group_prefix, refresh_s=3_600), store)
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await publish.events(0, [line(1, now_ms())])
        await settled(broker, group_prefix)
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])
        await publish.events(0, [line(2, now_ms())])
        await until(_both_wait, "they are read, and wait for their interval")
        assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 1
        await running.stop()

    assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 2
    assert len(await raw_lines(store, 0)) == 2
    assert await is_settled(broker, group_prefix)


async def _both_wait():
    """Tell whether a row and an event are in memory only."""
    ages = [metrics.DIRTY_SECONDS.labels(topic=topic, partition="0")._value.get() for topic in (VIDEO.topic, EVENTS)]
    return min(ages) > 0


async def test_only_committed_rows_count_and_markers_do_not_hold_up_the_offsets(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=group_prefix)
    await producer.start()

    async def publish(watch_ms):
        value = encode_row(row_of(VIDEO, dt, "v", [watch_ms, 0, 0, 0], None), 1)
        await producer.send_and_wait(VIDEO.topic, value, key=daily_key(dt, "video", "v"), partition=0)

    try:
        async with producer.transaction():
            await publish(1)
        await producer.begin_transaction()
        await publish(99)
        await producer.abort_transaction()
        async with worker(settings(broker, group_prefix), store):
            await settled(broker, group_prefix)
            assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 1
            async with producer.transaction():
                await publish(5)
            await settled(broker, group_prefix)
    finally:
        await producer.stop()

    assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 5


async def test_the_client_table_is_written_only_where_it_is_on(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1, client_table=True)
    dt = today()
    off, on = MemoryStore(), MemoryStore()
    async with publisher(broker) as publish:
        await publish.row(CLIENT, dt, "someone", [1, 0, 0, 0])
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        other = f"{group_prefix}-on"
        async with worker(settings(broker, group_prefix), off), worker(settings(broker, other, client_table=True), on):
            await settled(broker, group_prefix)
            await until(lambda: has_row(on, CLIENT, dt, "someone"), "the client's row is in the lake")
            await publish.raw_row(CLIENT, dt, "someone", None)
            await until(lambda: _has_not(on, CLIENT, dt, "someone"), "the client's row is gone")

    assert await file_rows(off, CLIENT, dt) == {}


async def _has_not(store, table, dt, row_id):
    return not await has_row(store, table, dt, row_id)


async def test_control_records_end_a_raw_object(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    before, after = line(1, now_ms()), line(2, now_ms())
    async with publisher(broker) as publish, worker(settings(broker, group_prefix), store):
        await publish.events(0, [before])
        await publish.events(0, [], headers=[(CONTROL_HEADER, CONTROL_FORGET)])
        await publish.events(0, [after])
        await settled(broker, group_prefix)

    assert len(await store.keys(RAW)) >= 2
    assert await raw_lines(store, 0) == [before, after]


async def test_jsonl_files_are_what_the_reference_wrote(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish, worker(settings(broker, group_prefix, form="jsonl"), store):
        await publish.row(HOUR, dt, "10", [1, 2, 3, 4])
        await publish.row(HOUR, dt, "9", [1, 0, 0, 0])
        await settled(broker, group_prefix)

    found = await store.get(f"analytics/hour_daily/dt={dt}/data.jsonl")
    assert found.body.decode() == (
        f'{{"dt":"{dt}","hour":9,"watch_ms":1,"watch_ms_fg":1,"watch_ms_bg":0,"views":0,"ad_ms":0}}\n'
        f'{{"dt":"{dt}","hour":10,"watch_ms":3,"watch_ms_fg":1,"watch_ms_bg":2,"views":3,"ad_ms":4}}\n'
    )
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(pa.BufferReader(found.body))
