"""Stream workers as processes of their own, raw records for them, and what they published."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Child, Program, log_tail
from streams.contract import topics
from streams.provision import provision
from tests.servers import delete_topics
from tests.unit.streams.plain_fold import RawRecord, RowKey, plain_rows
from tests.unit.streams.raw_logs import CLIENTS, line

ROOT = Path(__file__).parents[2]
READY_S = 60.0
#: Longer than a transaction that a killed worker left open, on a busy machine.
SETTLE_S = 60.0
#: Settings of a worker that has no other one beside it.
ALONE = {"instance": "only"}
#: Those of the unit tests, and enough plain ones that every raw partition has some.
MANY_CLIENTS = [*CLIENTS, *(f"client-{n}" for n in range(12))]


async def until(happened: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Return when it has happened: what lies in another process has no event to wait for."""
    async with asyncio.timeout(within_s):
        while not await happened():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def log_entries(log: Path) -> list[dict[str, Any]]:
    """Return what a process that may still be writing has logged: its whole lines."""
    text = log.read_text()
    return [orjson.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class Worker:
    """A `python -m streams`."""

    def __init__(
        self,
        bootstrap_servers: str,
        group: str,
        log: Path,
        *,
        failpoint: str = "",
        program: tuple[str, ...] = ("-m", "streams"),
        **environ: object,
    ) -> None:
        self.metrics_port = free_port()
        self.log = log
        self._program = Program(
            name=log.stem,
            command=[sys.executable, *program],
            log=log,
            environ={
                "PYTHONPATH": str(ROOT),
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
                "WATCHTIME_GROUP": group,
                "STREAMS_METRICS_PORT": str(self.metrics_port),
                "STREAMS_SESSION_TIMEOUT_MS": "6000",
                **{f"STREAMS_{name.upper()}": str(value) for name, value in environ.items()},
            },
        )
        # Of the first start only: see streams/failpoints.py.
        armed = {**self._program.environ, "WATCHTIME_FAILPOINT": failpoint}
        self.child = Child(dataclasses.replace(self._program, environ=armed))

    def restart(self) -> None:
        """Start again, with the same settings."""
        self.child = Child(self._program)

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        self.child.kill()
        assert self.child.wait(10) == -9

    async def ready(self) -> None:
        """Return when both agents have restored what they were assigned."""

        async def restored() -> bool:
            assert self.child.exit_code() is None, log_tail(self.log)
            return await self.metric('watchtime_ready{stage="streams"}') == 1

        await until(restored, READY_S)

    async def metric(self, name: str) -> float:
        """Return the value of a metric; 0 while there is none."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{LOOPBACK}:{self.metrics_port}/metrics") as response,
            ):
                text = await response.text()
        except aiohttp.ClientConnectionError:
            return 0.0
        return next((float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(name)), 0.0)

    async def ended(self) -> tuple[int, str]:
        """Return exit code and log of a worker that ends by itself."""
        code = await asyncio.to_thread(self.child.wait, READY_S)
        assert code is not None, f"the worker still runs:\n{log_tail(self.log)}"
        return code, self.log.read_text()


@asynccontextmanager
async def workers(
    folder: Path, bootstrap_servers: str, group: str, *settings: dict[str, Any]
) -> AsyncIterator[list[Worker]]:
    """Run a worker for each of the settings; at the end each must stop cleanly."""
    started = [
        Worker(bootstrap_servers, group, folder / f"worker-{number}.log", **how) for number, how in enumerate(settings)
    ]
    try:
        await asyncio.gather(*(worker.ready() for worker in started))
        yield started
    except BaseException:
        for worker in started:
            worker.child.kill()
        raise
    codes = [await asyncio.to_thread(worker.child.stop, 15.0) for worker in started]
    assert codes == [0] * len(started), "\n".join(log_tail(worker.log) for worker in started)


async def feed(
    bootstrap_servers: str, records: int, *, seed: int = 1, pause: Callable[[int], Awaitable[None]] | None = None
) -> None:
    """Append records of several clients; `pause(n)` is awaited before each."""
    pick = random.Random(seed)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=2) as producer:
        sent: list[tuple[bytes, bytes]] = []
        futures = []
        for number in range(records):
            if pause:
                await pause(number)
            if sent and pick.random() < 0.1:  # a POST that was sent again
                key, value = pick.choice(sent[-50:])
            else:
                client = pick.choice(MANY_CLIENTS)
                now_ms = time.time_ns() // 1_000_000
                lines = [line(pick.getrandbits(32), client, now_ms) for _ in range(pick.randrange(1, 6))]
                key, value = client.encode(), b"".join(text + b"\n" for text in lines)
                sent.append((key, value))
            futures.append(await producer.send(topics.EVENTS, value, key=key))
        await asyncio.gather(*futures)


@asynccontextmanager
async def reader(bootstrap_servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that sees what is committed."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        yield consumer


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    await consumer._client._wait_on_metadata(topic)
    return [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]


async def all_records(consumer: AIOKafkaConsumer, topic: str) -> list[Any]:
    """Return every record of a topic, partition by partition."""
    partitions = await partitions_of(consumer, topic)
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    records = []
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            records += batch
    return records


async def raw_records(bootstrap_servers: str) -> list[RawRecord]:
    """Return the raw topic, as the plain fold takes it."""
    async with reader(bootstrap_servers) as consumer:
        records = await all_records(consumer, topics.EVENTS)
    return [RawRecord(record.partition, record.offset, record.timestamp, record.value) for record in records]


async def make_anew(bootstrap_servers: str, *names: str) -> None:
    """Delete topics and create them again, under the settings of ALONE."""
    for name in names:
        await delete_topics(bootstrap_servers, name)
    await provision(bootstrap_servers, 4, 1, replication=1, client_table=False)


async def expire(bootstrap_servers: str) -> None:
    """Take all records out of the raw topic, as its retention does with those of a fortnight ago."""
    async with reader(bootstrap_servers) as consumer:
        ends = await consumer.end_offsets(await partitions_of(consumer, topics.EVENTS))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=end) for partition, end in ends.items()})
    finally:
        await admin.close()


async def settled(bootstrap_servers: str, group: str) -> None:
    """Return when the committed offsets say that all is folded, summed and published."""
    for suffix, topic in ((topics.PARTIALS_GROUP, topics.EVENTS), (topics.TOTALS_GROUP, topics.PARTIALS)):
        async with AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=f"{group}-{suffix}",
            isolation_level="read_committed",
            enable_auto_commit=False,
        ) as consumer:
            partitions = await partitions_of(consumer, topic)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)

            async def done(consumer: AIOKafkaConsumer = consumer, ends: dict[TopicPartition, int] = ends) -> bool:
                return all([(await consumer.committed(at) or 0) >= end for at, end in ends.items()])

            await until(done, SETTLE_S)


async def published_rows(bootstrap_servers: str, *, client_table: bool = False) -> dict[RowKey, dict[str, Any]]:
    """Return the newest value of each key of the daily topics."""
    rows: dict[RowKey, dict[str, Any]] = {}
    async with reader(bootstrap_servers) as consumer:
        for table in topics.daily_tables(client_table=client_table):
            homes: dict[bytes, int] = {}
            for record in await all_records(consumer, table.topic):
                assert homes.setdefault(record.key, record.partition) == record.partition
                row = orjson.loads(record.value)
                assert list(row) == [*table.columns, "updated_at"]
                rows[table.name, row["dt"], row[table.id_column] if table.id_column else ""] = row
    return rows


async def group_offsets_exist(bootstrap_servers: str, group: str, partitions: int) -> None:
    """Return when the fold has committed an offset of every raw partition."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=f"{group}-{topics.PARTIALS_GROUP}", enable_auto_commit=False
    ) as consumer:

        async def all_there() -> bool:
            raw = [TopicPartition(topics.EVENTS, p) for p in range(partitions)]
            return None not in [await consumer.committed(partition) for partition in raw]

        await until(all_there, SETTLE_S)


async def history(folder: Path, bootstrap_servers: str, group: str, records: int, *, seed: int = 1, **how: Any) -> None:
    """Let one worker fold records of several clients to the last row, and stop it."""
    async with workers(folder, bootstrap_servers, group, {**ALONE, **how}):
        await feed(bootstrap_servers, records, seed=seed)
        await settled(bootstrap_servers, group)


async def assert_rows(bootstrap_servers: str, group: str, rule: str = "event", *, client_table: bool = False) -> None:
    """Wait until all is folded and summed, and compare every row with the plain fold of the raw topic."""
    await settled(bootstrap_servers, group)
    expected = plain_rows(await raw_records(bootstrap_servers), rule, client_table=client_table)

    assert expected
    assert await published_rows(bootstrap_servers, client_table=client_table) == expected
