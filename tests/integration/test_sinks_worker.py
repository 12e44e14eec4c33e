"""Workers on a real broker; the lake is in memory, a folder or a bucket, and sometimes out of order."""

from __future__ import annotations

import asyncio
import random
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from sinks.archive import ArchiveGapError
from sinks.bucket import BucketStore
from sinks.folder import FolderStore
from sinks.keys import ANALYTICS, RAW, topic8
from sinks.layout import LayoutError
from sinks.precedence import LakeMismatchError
from sinks.store import MemoryStore, PreconditionFailed, StoreUnavailable
from streams.contract.days import dt_of_ms, shift_dt
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, CLIENT, HOUR, INGEST, VIDEO, encode_row, row_of
from streams.contract.topics import CONTROL_FORGET, CONTROL_HEADER, EVENTS, daily_tables
from streams.topic_id import TopicIdError, topic_ids
from tests.bad_stores import UnreliableStore
from tests.sinks_stage import (
    Worker,
    committed,
    file_rows,
    line,
    now_ms,
    publisher,
    raw_lines,
    settings,
    until,
    worker,
)

TABLES = daily_tables(client_table=False)


def today():
    return dt_of_ms(now_ms())


async def ends(broker, topic, partitions):
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, isolation_level="read_committed")
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(topic, p) for p in range(partitions)])
    finally:
        await consumer.stop()
    return {partition.partition: offset for partition, offset in found.items()}


async def settled(broker, group, *, partitions, shards):
    """Tell whether all that is in the topics is in the lake, by the committed offsets."""
    for topic, count, suffix in [
        *((table.topic, shards, "sinks") for table in TABLES),
        (EVENTS, partitions, "archive"),
    ]:
        for partition, end in (await ends(broker, topic, count)).items():
            if (await committed(broker, f"{group}-{suffix}", topic, partition) or 0) < end:
                return False
    return True


async def publish_day(publish, dt, *, videos=20, scale=1):
    for number in range(videos):
        await publish.row(VIDEO, dt, f"v{number}", [scale * number, 1, scale, 0], channel=f"c{number % 3}")
    for number in range(3):
        await publish.row(CHANNEL, dt, f"c{number}", [scale * 9, 1, scale, 0])
    for hour in (7, 23):
        await publish.row(HOUR, dt, str(hour), [scale * 5, 1, scale, 0])
    await publish.row(INGEST, dt, "", [scale * 100, scale * 99, scale, 0, 0, 0, 0])


async def lake_of(store):
    return {key: (await store.get(key)).body for key in await store.keys("")}


async def test_topic_ids_are_the_broker_s(fresh_topics):
    broker = await fresh_topics()
    first = await topic_ids(broker, [EVENTS, VIDEO.topic])
    assert await topic_ids(broker, [EVENTS]) == {EVENTS: first[EVENTS]}
    await fresh_topics()

    assert (await topic_ids(broker, [EVENTS]))[EVENTS] not in first.values()
    with pytest.raises(TopicIdError, match=r"no broker at 127\.0\.0\.1:1 "):
        await topic_ids("127.0.0.1:1", [EVENTS])


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("lake", ["folder", "bucket"])
async def test_rows_and_events_reach_the_lake(lake, shards, fresh_topics, group_prefix, s3, tmp_path, monkeypatch):  # noqa: PLR0913, PLR0917
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    store = FolderStore(tmp_path) if lake == "folder" else BucketStore(s3.bucket(), "x/y", endpoint=s3.endpoint)
    broker = await fresh_topics(partitions=3, shards=shards)
    dt, sent = today(), {p: [line(n * 10 + p, now_ms()) for n in range(5)] for p in range(3)}
    async with publisher(broker, shards) as publish, worker(settings(broker, group_prefix), store):
        await publish_day(publish, dt)
        for p, lines in sent.items():
            await publish.events(p, lines)
        await until(lambda: settled(broker, group_prefix, partitions=3, shards=shards), "all is in the lake")

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
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "all is in the lake")
    written = list(first.puts)

    other = f"{group_prefix}-again"
    async with worker(settings(broker, group_prefix), first), worker(settings(broker, other), second):
        await until(lambda: settled(broker, other, partitions=1, shards=1), "all is in the second lake")

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
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the first rows are in the lake")
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])
        await publish.events(0, [line(2, now_ms())])
        await asyncio.sleep(0.5)  # they are read, which shows nowhere while their interval lasts
        assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 1
        await running.stop()

    assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 2
    assert len(await raw_lines(store, 0)) == 2
    assert await settled(broker, group_prefix, partitions=1, shards=1)


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
            await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the markers are passed")
            assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 1
            async with producer.transaction():
                await publish(5)
            await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the new row is in the lake")
    finally:
        await producer.stop()

    assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 5


async def test_partitions_move_between_workers_without_loss(fresh_topics, group_prefix):
    """Workers come and go (one is killed) while rows and events keep coming."""
    broker = await fresh_topics(partitions=4, shards=4)
    store = MemoryStore()
    dt = today()
    sent = {p: [] for p in range(4)}
    async with publisher(broker, shards=4) as publish:
        stop = asyncio.Event()
        last = 0

        async def load():
            nonlocal last
            while not stop.is_set():
                last += 1
                await publish_day(publish, dt, scale=last)
                for p, lines in sent.items():
                    lines.append(line(last * 10 + p, now_ms()))
                    await publish.events(p, lines[-1:])

        chosen = settings(broker, group_prefix)
        loading = asyncio.create_task(load())
        one = Worker(chosen, store)
        await until(lambda: _any(store), "the first worker writes")
        two, three = Worker(chosen, store), Worker(chosen, store)
        await asyncio.sleep(2)
        await one.stop()
        await asyncio.sleep(1)
        await two.kill()
        four = Worker(chosen, store)
        await asyncio.sleep(2)
        stop.set()
        await loading
        await until(lambda: settled(broker, group_prefix, partitions=4, shards=4), "all is in the lake")
        await three.stop()
        await four.stop()

    rows = await file_rows(store, VIDEO, dt)
    assert {row["views"] for row in rows.values()} == {last}
    assert len(rows) == 20
    assert (await file_rows(store, INGEST, dt))[""]["total_events"] == 100 * last
    assert {p: await raw_lines(store, p) for p in sent} == sent


async def _any(store):
    return len(await store.keys("")) > 3


async def test_two_copies_of_a_worker_race_for_the_same_files(fresh_topics, group_prefix):
    """Two groups on one lake: what a worker that does not know yet that it lost its partitions would do."""
    broker = await fresh_topics(partitions=2, shards=2)
    store = UnreliableStore(MemoryStore())
    dice = random.Random(7)
    conflicts = 0

    async def dawdle(_):
        await asyncio.sleep(dice.random() * 0.05)

    store.before_put = dawdle
    put = store.inner.put

    async def counting(*args, **more):
        nonlocal conflicts
        try:
            return await put(*args, **more)
        except PreconditionFailed:
            conflicts += 1
            raise

    store.inner.put = counting
    dt = today()
    sent = {p: [] for p in range(2)}
    groups = [f"{group_prefix}-a", f"{group_prefix}-b"]
    async with publisher(broker, shards=2) as publish:
        copies = [Worker(settings(broker, group, refresh_s=0.05), store) for group in groups]
        for scale in range(1, 25):
            await publish_day(publish, dt, scale=scale)
            for p, lines in sent.items():
                lines.append(line(scale, now_ms()))
                await publish.events(p, lines[-1:])
        for group in groups:
            await until(lambda group=group: settled(broker, group, partitions=2, shards=2), "all is in the lake")
        for copy in copies:
            await copy.stop()

    assert conflicts > 10, "they did race"
    assert {row["views"] for row in (await file_rows(store, VIDEO, dt)).values()} == {24}
    assert {p: await raw_lines(store, p) for p in sent} == sent


async def test_a_lake_that_fails_now_and_then_costs_nothing(fresh_topics, group_prefix, s3, monkeypatch):
    """Calls fail before they do anything, or after; now and then nothing works for longer than a session lasts."""
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sinks.patience.LONGEST_WAIT_S", 0.3)
    broker = await fresh_topics(partitions=2)
    store = UnreliableStore(BucketStore(s3.bucket(), endpoint=s3.endpoint))
    dice, outage = random.Random(3), False

    async def fail(key):
        if outage or dice.random() < 0.3:
            raise StoreUnavailable(f"503 for {key}")

    store.before_put = store.after_put = store.before_read = fail
    dt = today()
    sent = []
    async with publisher(broker) as publish, worker(settings(broker, group_prefix), store):
        for scale in range(1, 30):
            await publish_day(publish, dt, scale=scale)
            sent.append(line(scale, now_ms()))
            await publish.events(1, sent[-1:])
            if scale in (10, 11):
                outage = scale == 10
                await asyncio.sleep(7 if outage else 0)
        await until(lambda: settled(broker, group_prefix, partitions=2, shards=1), "all is in the lake")
        store.before_put = store.after_put = store.before_read = _fine

    assert {row["views"] for row in (await file_rows(store, VIDEO, dt)).values()} == {29}
    assert await raw_lines(store, 1) == sent


async def _fine(_):
    """Let the call pass."""


async def test_the_client_table_is_written_only_where_it_is_on(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1, client_table=True)
    dt = today()
    off, on = MemoryStore(), MemoryStore()
    async with publisher(broker) as publish:
        await publish.row(CLIENT, dt, "someone", [1, 0, 0, 0])
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        other = f"{group_prefix}-on"
        async with worker(settings(broker, group_prefix), off), worker(settings(broker, other, client_table=True), on):
            await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "all is in the lake")
            await until(lambda: _has(on, CLIENT, dt, "someone"), "the client's row is in the lake")
            await publish.raw_row(CLIENT, dt, "someone", None)
            await until(lambda: _has_not(on, CLIENT, dt, "someone"), "the client's row is gone")

    assert await file_rows(off, CLIENT, dt) == {}


async def _has(store, table, dt, row_id):
    return row_id in await file_rows(store, table, dt)


async def _has_not(store, table, dt, row_id):
    return not await _has(store, table, dt, row_id)


async def test_control_records_end_a_raw_object(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    before, after = line(1, now_ms()), line(2, now_ms())
    async with publisher(broker) as publish, worker(settings(broker, group_prefix), store):
        await publish.events(0, [before])
        await publish.events(0, [], headers=[(CONTROL_HEADER, CONTROL_FORGET)])
        await publish.events(0, [after])
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "all is in the lake")

    assert len(await store.keys(RAW)) >= 2
    assert await raw_lines(store, 0) == [before, after]


async def test_a_lake_of_topics_that_were_made_anew_is_refused(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish, worker(settings(broker, group_prefix), store):
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await until(lambda: _has(store, VIDEO, dt, "v"), "the file is there")
    await fresh_topics(partitions=1)

    failure = await Worker(settings(broker, group_prefix), store).failure()

    assert isinstance(failure, LayoutError)
    assert "made anew" in str(failure)


async def test_a_file_of_another_topic_is_refused_whatever_the_layout_says(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish:
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        async with worker(settings(broker, group_prefix), store):
            await until(lambda: _has(store, VIDEO, dt, "v"), "the file is there")
        key = f"{ANALYTICS}video_daily/dt={dt}/data.parquet"
        found = await store.get(key)
        metadata = {**found.stat.metadata, "topic-id": str(uuid.UUID(int=7))}
        await store.put(key, found.body, metadata, etag=found.stat.etag)
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])

    failure = await Worker(settings(broker, group_prefix), store).failure()

    assert isinstance(failure, LakeMismatchError)
    assert str(uuid.UUID(int=7)) in str(failure)
    assert (await file_rows(store, VIDEO, dt))["v"]["watch_ms"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [({"form": "jsonl"}, "SINKS_FORMAT"), ({"day_rule": "local"}, "STREAMS_DAY=event"), ({}, "2 partitions")],
)
async def test_another_layout_is_refused(change, said, fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    async with worker(settings(broker, group_prefix, day_rule="event"), store):
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the worker is up")
    if not change:
        await fresh_topics(partitions=1, shards=2)

    failure = await Worker(settings(broker, group_prefix, **change), store).failure()

    assert isinstance(failure, LayoutError)
    assert said in str(failure)
    assert "watchtime rebuild" in str(failure)


async def test_records_lost_before_they_were_archived_stop_the_worker(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    async with publisher(broker) as publish:
        await publish.events(0, [line(1, now_ms())])
        async with worker(settings(broker, group_prefix), store):
            await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the event is in the lake")
        for n in range(3):
            await publish.events(0, [line(n, now_ms())])
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({TopicPartition(EVENTS, 0): RecordsToDelete(before_offset=3)})
    await admin.close()

    failure = await Worker(settings(broker, group_prefix), store).failure()

    assert isinstance(failure, ArchiveGapError)
    assert "offsets 1 to 2 of watch.events partition 0" in str(failure)


async def test_a_row_is_in_its_file_within_the_refresh_interval_and_two_seconds(fresh_topics, group_prefix, tmp_path):
    """Prints the figure; half a thousand rows a day, each day's file written all the time."""
    broker = await fresh_topics(partitions=1)
    store = FolderStore(tmp_path)
    dt, refresh_s, delays = today(), 1.0, []
    async with publisher(broker) as publish, worker(settings(broker, group_prefix, refresh_s=refresh_s), store):
        await publish_day(publish, dt, videos=500)
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "the first rows are in the lake")
        for n in range(8):
            name = f"probe{n}-{uuid.uuid4().hex}"
            await publish.row(VIDEO, dt, name, [1, 0, 0, 0])
            delays.append(await until(lambda name=name: _has(store, VIDEO, dt, name), "the row is in the file"))
            await asyncio.sleep(0.3)
    print(f"\nrow to file, refresh {refresh_s} s: max {max(delays):.2f} s, median {sorted(delays)[4]:.2f} s")

    assert max(delays) < refresh_s + 2


async def test_jsonl_files_are_what_the_reference_wrote(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish, worker(settings(broker, group_prefix, form="jsonl"), store):
        await publish.row(HOUR, dt, "10", [1, 2, 3, 4])
        await publish.row(HOUR, dt, "9", [1, 0, 0, 0])
        await until(lambda: settled(broker, group_prefix, partitions=1, shards=1), "all is in the lake")

    found = await store.get(f"analytics/hour_daily/dt={dt}/data.jsonl")
    assert found.body.decode() == (
        f'{{"dt":"{dt}","hour":9,"watch_ms":1,"watch_ms_fg":1,"watch_ms_bg":0,"views":0,"ad_ms":0}}\n'
        f'{{"dt":"{dt}","hour":10,"watch_ms":3,"watch_ms_fg":1,"watch_ms_bg":2,"views":3,"ad_ms":4}}\n'
    )
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(pa.BufferReader(found.body))
