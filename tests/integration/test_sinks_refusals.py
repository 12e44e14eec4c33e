"""What a worker refuses to write over or to leave out: it ends, and says why."""

from __future__ import annotations

import uuid

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from sinks.archive import ArchiveGapError
from sinks.keys import ANALYTICS
from sinks.layout import LayoutError
from sinks.precedence import LakeMismatchError
from sinks.store import MemoryStore
from streams.contract.rows import VIDEO
from streams.contract.topics import EVENTS
from tests.clock import now_ms, today
from tests.sinks_stage import Worker, file_rows, has_row, line, publisher, settings, settled, until, worker


async def test_a_lake_of_topics_that_were_made_anew_is_refused(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    store = MemoryStore()
    dt = today()
    async with publisher(broker) as publish, worker(settings(broker, group_prefix), store):
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await until(lambda: has_row(store, VIDEO, dt, "v"), "the file is there")
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
            await until(lambda: has_row(store, VIDEO, dt, "v"), "the file is there")
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
        await settled(broker, group_prefix)
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
            await settled(broker, group_prefix)
        for n in range(3):
            await publish.events(0, [line(n, now_ms())])
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({TopicPartition(EVENTS, 0): RecordsToDelete(before_offset=3)})
    await admin.close()

    failure = await Worker(settings(broker, group_prefix), store).failure()

    assert isinstance(failure, ArchiveGapError)
    assert "offsets 1 to 2 of watch.events partition 0" in str(failure)
