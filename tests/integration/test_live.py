"""The live page's rows from a real broker: committed ones only, followed while somebody looks, anew after trouble."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psutil
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from gateway import daily_reader
from gateway.daily_reader import DailyReader
from streams.contract.keys import daily_key, shard_of
from streams.contract.rows import HOUR, INGEST, VIDEO, encode_row, row_of
from streams.contract.topics import EVENTS, PARTIALS_GROUP, REJECTED
from streams.provision import provision
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

DAY = "2026-01-02"
WITHIN_S = 30.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_HEALTH_S", "_RETRY_S"):
        monkeypatch.setattr(daily_reader, name, 0.1)


@asynccontextmanager
async def running(reader: DailyReader) -> AsyncIterator[DailyReader]:
    """The reader as the application runs it."""
    async for _ in reader.run(web.Application()):
        yield reader


async def send(producer: AIOKafkaProducer, table, row_id: str, counters: list[int], *, shards: int = 1, headers=()):  # noqa: PLR0913
    value = encode_row(row_of(table, DAY, row_id, counters, None), 5)
    key, partition = daily_key(DAY, table.kind, row_id), shard_of(DAY, table.kind, row_id, shards)
    await producer.send_and_wait(table.topic, value, key=key, partition=partition, headers=list(headers))


def videos(reader: DailyReader) -> Callable[[dict[str, int]], Awaitable[bool]]:
    async def are(wanted: dict[str, int]) -> bool:
        reader.look()
        return wanted == {row["video_id"]: row["watch_ms"] for row in reader.days.rows(VIDEO, DAY, 10)}

    return are


@pytest.fixture
async def producer(fresh_topics: FreshTopics, group_prefix: str) -> AsyncIterator[AIOKafkaProducer]:
    servers = await fresh_topics(shards=3)
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{group_prefix}-live")
    await producer.start()
    yield producer
    await producer.stop()


async def test_committed_rows_of_all_partitions_are_shown(producer: AIOKafkaProducer, broker: str, group_prefix: str):
    async with producer.transaction():
        for name, ms in (("a", 1), ("b", 2), ("c", 3), ("a", 9)):
            await send(producer, VIDEO, name, [ms, 0, 0, 0], shards=3)
        await send(producer, INGEST, "", [4, 4, 0, 0, 0, 0, 0], shards=3)
    async with running(DailyReader(broker, group_prefix, 100)) as reader:
        assert not reader.caught_up.is_set()

        assert await reader.ready(WITHIN_S)

        assert await videos(reader)({"a": 9, "b": 2, "c": 3})
        await producer.begin_transaction()
        await send(producer, VIDEO, "a", [1_000, 0, 0, 0], shards=3)
        await producer.abort_transaction()
        async with producer.transaction():
            await send(producer, VIDEO, "b", [20, 0, 0, 0], shards=3)
            key = daily_key(DAY, "video", "c")
            await producer.send_and_wait(VIDEO.topic, None, key=key, partition=shard_of(DAY, "video", "c", 3))
        await until(lambda: videos(reader)({"a": 9, "b": 20}), WITHIN_S)


async def test_it_tells_how_far_the_pipeline_is(producer: AIOKafkaProducer, broker: str, group_prefix: str):
    async with producer.transaction():
        for _ in range(5):
            await producer.send_and_wait(EVENTS, b"{}\n", key=b"c", partition=0)
        await producer.send_and_wait(REJECTED, b"{}")
        await send(producer, HOUR, "1", [1, 0, 0, 0], shards=3)
    async with running(DailyReader(broker, group_prefix, 100)) as reader:
        reader.look()

        async def told(lag: int) -> bool:
            reader.look()
            return reader.health.get("lag") == lag

        await until(lambda: told(6), WITHIN_S)  # five records and the transaction's marker
        assert reader.health["rejected"] == 2
        assert reader.health["files_behind"] == 2

        await commit(broker, f"{group_prefix}-{PARTIALS_GROUP}", 4)
        await until(lambda: told(2), WITHIN_S)


async def commit(broker: str, group: str, offset: int) -> None:

    consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(EVENTS, 0)])
    await consumer.commit({TopicPartition(EVENTS, 0): offset})
    await consumer.stop()


async def test_after_a_refold_smaller_values_count(producer: AIOKafkaProducer, broker: str, group_prefix: str):
    async with producer.transaction():
        for number in range(8):
            await send(producer, VIDEO, f"v{number}", [100 + number, 0, 0, 0], shards=3)
    async with running(DailyReader(broker, group_prefix, 100)) as reader:
        assert await reader.ready(WITHIN_S)
        async with producer.transaction():
            for number in range(2, 8):
                await send(producer, VIDEO, f"v{number}", [1, 0, 0, 0], shards=3, headers=[("generation", b"1")])

        wanted = {"v0": 100, "v1": 101} | {f"v{number}": 1 for number in range(2, 8)}
        await until(lambda: videos(reader)(wanted), WITHIN_S)


@pytest.mark.parametrize("generation", [None, b"", b"one", b"9" * 5_000])
async def test_a_row_of_no_generation_is_passed_over(producer: AIOKafkaProducer, broker, group_prefix, generation):
    async with producer.transaction():
        await send(producer, VIDEO, "odd", [9, 0, 0, 0], shards=3, headers=[("generation", generation)])
        await send(producer, VIDEO, "a", [1, 0, 0, 0], shards=3)
    async with running(DailyReader(broker, group_prefix, 100)) as reader:
        assert await reader.ready(WITHIN_S)
        assert await videos(reader)({"a": 1})


async def test_nobody_looks_so_nothing_is_read(producer: AIOKafkaProducer, broker, group_prefix, monkeypatch):
    async with producer.transaction():
        await send(producer, VIDEO, "a", [1, 0, 0, 0], shards=3)
    async with running(DailyReader(broker, group_prefix, 100)) as reader:
        assert await reader.ready(WITHIN_S)
        assert await videos(reader)({"a": 1})
        monkeypatch.setattr(daily_reader, "FOLLOW_S", 0.2)

        async def dropped() -> bool:
            return not reader.days.days() and not reader.caught_up.is_set()

        await until(dropped, WITHIN_S)
        monkeypatch.setattr(daily_reader, "FOLLOW_S", 300.0)
        assert await reader.ready(WITHIN_S)
        assert await videos(reader)({"a": 1})


async def test_a_broker_that_comes_late_is_waited_for(fresh_broker, group_prefix):
    broker = await fresh_broker()
    async with running(DailyReader(broker.bootstrap_servers, group_prefix, 100)) as reader:
        assert not await reader.ready(1.0)  # there are no topics yet

        await provision(broker.bootstrap_servers, 1, 1, replication=1, client_table=False)
        assert await reader.ready(WITHIN_S)


@pytest.mark.slow
async def test_100_000_videos_a_day_are_read_in_bounded_memory(broker: str, fresh_topics, group_prefix: str):
    await fresh_topics()
    producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=20, max_batch_size=1 << 20)
    await producer.start()
    for number in range(100_000):
        value = encode_row(row_of(VIDEO, DAY, f"video-{number:06}", [number, 0, 1, 0], f"channel {number % 999}"), 5)
        await producer.send(VIDEO.topic, value, key=daily_key(DAY, "video", f"video-{number:06}"))
    await producer.stop()
    process = psutil.Process()
    before, started_s = process.memory_info().rss, time.perf_counter()
    async with running(DailyReader(broker, group_prefix, 20_000)) as reader:
        assert await reader.ready(120.0)

        grown = (process.memory_info().rss - before) / 2**20
        print(f"100,000 rows read in {time.perf_counter() - started_s:.1f} s, {grown:.0f} MiB")
        assert reader.days.rows(VIDEO, DAY, 1)[0]["watch_ms"] == 99_999
        assert reader.days.count(VIDEO, DAY)[0] <= 25_000
        assert grown < 100
