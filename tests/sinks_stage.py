"""A sinks worker inside the test's event loop, and the records that the stages before it would write."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sinks.keys import ANALYTICS, RAW, ChunkKey, FileKey
from sinks.settings import Settings
from sinks.stage import run_stage
from sinks.store import Store
from streams.contract.keys import daily_key, shard_of
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table, encode_row, row_of
from streams.contract.topics import ARCHIVE_GROUP, EVENTS, GENERATION_HEADER, SINKS_GROUP, daily_tables

WAIT_S = 60.0
TABLES = daily_tables(client_table=False)


def settings(bootstrap_servers: str, group: str, **changes: Any) -> Settings:
    """Return settings for a quick test; the lake's URL is not used, tests hand over the store."""
    defaults: dict[str, Any] = {"lake": "file:///unused", "refresh_s": 0.2, "session_timeout_ms": 6_000}
    return Settings(bootstrap_servers=bootstrap_servers, group=group, **(defaults | changes))


class Worker:
    """A worker that runs; `failure` is what it ended with."""

    def __init__(self, chosen: Settings, store: Store) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(run_stage(chosen, store, self._stop))

    async def stop(self) -> None:
        """Ask the worker to stop, wait until it has; raises what it failed with."""
        self._stop.set()
        async with asyncio.timeout(WAIT_S):
            await self._task

    async def kill(self) -> None:
        """End the worker without letting it write anything more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def failure(self) -> Exception:
        """Wait until the worker fails, and return the reason."""
        async with asyncio.timeout(WAIT_S):
            await asyncio.wait([self._task])
        error: BaseException | None = self._task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, Exception), "the worker ended without an error"
        return error

    @property
    def done(self) -> bool:
        """Whether the worker has ended by itself."""
        return self._task.done()


@contextlib.asynccontextmanager
async def worker(chosen: Settings, store: Store) -> AsyncIterator[Worker]:
    """Run a worker for the length of a block, then stop it as SIGTERM would."""
    running = Worker(chosen, store)
    try:
        yield running
    finally:
        if running.done:
            await running.kill()
        else:
            await running.stop()


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, within_s: float = WAIT_S) -> float:
    """Wait until a condition holds; return how many seconds it took."""
    started = time.monotonic()
    while not await condition():
        if time.monotonic() - started > within_s:
            raise AssertionError(f"after {within_s} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - started


class Publisher:
    """Writes daily rows and raw records, as the stages before sinks do."""

    def __init__(self, producer: AIOKafkaProducer, shards: int) -> None:
        self._producer = producer
        self._shards = shards

    async def row(  # noqa: PLR0913
        self,
        table: Table,
        dt: str,
        row_id: str,
        counters: list[int],
        *,
        channel: str | None = None,
        generation: int = 0,
    ) -> int:
        """Publish a row; return its offset."""
        value = encode_row(row_of(table, dt, row_id, counters, channel), 1)
        return await self.raw_row(table, dt, row_id, value, generation=generation)

    async def raw_row(self, table: Table, dt: str, row_id: str, value: bytes | None, *, generation: int = 0) -> int:
        """Publish the value of a row, None to remove it; return its offset."""
        headers = [(GENERATION_HEADER, str(generation).encode())] if generation else []
        sent = await self._producer.send_and_wait(
            table.topic,
            value,
            key=daily_key(dt, table.kind, row_id),
            partition=shard_of(dt, table.kind, row_id, self._shards),
            headers=headers,
        )
        return int(sent.offset)

    async def events(self, partition: int, lines: Iterable[bytes], *, headers: Any = ()) -> tuple[int, int]:
        """Append one raw record; return its offset and broker time."""
        value = b"".join(line + b"\n" for line in lines)
        sent = await self._producer.send_and_wait(
            EVENTS, value, key=b"client", partition=partition, headers=list(headers)
        )
        return int(sent.offset), int(sent.timestamp)


@contextlib.asynccontextmanager
async def publisher(bootstrap_servers: str, shards: int = 1) -> AsyncIterator[Publisher]:
    """Open a producer for the length of a block."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", max_request_size=4 * 1024 * 1024)
    await producer.start()
    try:
        yield Publisher(producer, shards)
    finally:
        await producer.stop()


async def committed(bootstrap_servers: str, group: str, topic: str, partition: int) -> int | None:
    """Return the committed offset of a group."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False
    ) as consumer:
        found: int | None = await consumer.committed(TopicPartition(topic, partition))
        return found


async def file_rows(store: Store, table: Table, dt: str) -> dict[Any, dict[str, Any]]:
    """Return the rows of a day from all its parquet files, by id."""
    rows: dict[Any, dict[str, Any]] = {}
    for key in await store.keys(f"{ANALYTICS}{table.name}/dt={dt}/"):
        found = await store.get(key)
        assert found is not None
        assert FileKey.parse(key) is not None
        for row in pq.read_table(pa.BufferReader(found.body)).to_pylist():
            row_id = row[table.id_column] if table.id_column else ""
            assert row_id not in rows, "a row is in one file only"
            rows[row_id] = row
    return rows


async def raw_lines(store: Store, partition: int) -> list[bytes]:
    """Return the archived lines of a partition, in the order of offsets; checks that no offset is missing."""
    lines: list[bytes] = []
    chunks = [chunk for key in await store.keys(RAW) if (chunk := ChunkKey.parse(key)) and chunk.partition == partition]
    expected: int | None = None
    for chunk in sorted(chunks, key=lambda chunk: chunk.first):
        found = await store.get(chunk.encode())
        assert found is not None
        assert chunk.first == (chunk.first if expected is None else expected), "no hole, no overlap"
        expected = int(found.stat.metadata["last-offset"]) + 1
        text = gzip.decompress(found.body)
        assert text.endswith(b"\n")
        lines += text[:-1].split(b"\n")
    return lines


def line(event_id: int, received_at: int, **more: Any) -> bytes:
    """Return an event's line, as the gateway writes it."""
    return json.dumps({"event_id": str(event_id), "received_at": received_at, **more}, separators=(",", ":")).encode()


async def publish_day(publish: Publisher, dt: str, *, videos: int = 20, scale: int = 1) -> None:
    """Publish rows of every table but the clients'; `scale` tells one round from the next."""
    for number in range(videos):
        await publish.row(VIDEO, dt, f"v{number}", [scale * number, 1, scale, 0], channel=f"c{number % 3}")
    for number in range(3):
        await publish.row(CHANNEL, dt, f"c{number}", [scale * 9, 1, scale, 0])
    for hour in (7, 23):
        await publish.row(HOUR, dt, str(hour), [scale * 5, 1, scale, 0])
    await publish.row(INGEST, dt, "", [scale * 100, scale * 99, scale, 0, 0, 0, 0])


async def is_settled(bootstrap_servers: str, group: str, *, partitions: int = 1, shards: int = 1) -> bool:
    """Tell whether all that is in the topics is in the lake, by the committed offsets."""
    rows = [TopicPartition(table.topic, shard) for table in TABLES for shard in range(shards)]
    raw = [TopicPartition(EVENTS, partition) for partition in range(partitions)]
    return await _is_done(bootstrap_servers, f"{group}-{SINKS_GROUP}", rows) and await _is_done(
        bootstrap_servers, f"{group}-{ARCHIVE_GROUP}", raw
    )


async def _is_done(bootstrap_servers: str, group: str, partitions: list[TopicPartition]) -> bool:
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
    ) as consumer:
        ends = await consumer.end_offsets(partitions)
        return all([(await consumer.committed(at) or 0) >= end for at, end in ends.items()])


async def settled(bootstrap_servers: str, group: str, *, partitions: int = 1, shards: int = 1) -> None:
    """Return when all that is in the topics is in the lake."""
    await until(
        lambda: is_settled(bootstrap_servers, group, partitions=partitions, shards=shards), f"{group}: all in the lake"
    )


async def has_row(store: Store, table: Table, dt: str, row_id: str) -> bool:
    """Tell whether a day's files hold a row."""
    return row_id in await file_rows(store, table, dt)
