"""`python -m tests.brokers.cost`: CPU seconds that the sinks take, alone, for a backlog of events and then of rows.

CPU time and not wall time: what others do on the machine changes it little. The stages before them are measured by
`make bench-streams` and `make bench-gateway`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
import psutil
from aiokafka import AIOKafkaProducer

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from deploy.viewers import Audience
from streams.contract.days import dt_of_ms
from streams.contract.keys import daily_key, partition_of
from streams.contract.rows import VIDEO, encode_row, row_of
from streams.contract.topics import DEFAULT_PARTITIONS, EVENTS
from tests.bench.machine import cpu_s
from tests.clock import now_ms
from tests.faults.progress import settled_group
from tests.faults.world import GROUP
from tests.pipeline import Pipeline

SETTLE_S = 600.0
#: Records that are sent before their acknowledgements are waited for.
SENT_AT_ONCE = 5_000

Records = Iterator[tuple[str, int, bytes, bytes]]


def raw_records(events: int, batch: int) -> Records:
    """Return raw records of simulated viewers, as the gateway writes them, `batch` events each."""
    audience = Audience(seed=1, clients=1_000, now_ms=(at_ms := now_ms()), strays=False)
    for number in range(events // batch):
        client = number % 1_000
        made = audience.take(client, batch, at_ms)
        key = str(made[0]["client_session_id"]).encode()
        added = {"received_at": at_ms, "client_id": made[0]["client_session_id"]}
        value = b"".join(orjson.dumps(event | added) + b"\n" for event in made)
        yield EVENTS, partition_of(key, DEFAULT_PARTITIONS), key, value


def row_records(rows: int) -> Records:
    """Return rows of one day and table."""
    at_ms = now_ms()
    dt = dt_of_ms(at_ms)
    for number in range(rows):
        row = row_of(VIDEO, dt, video := f"video-{number:06}", [number, 1, 2, 3], f"Channel {number % 5_000}")
        yield VIDEO.topic, 0, daily_key(dt, VIDEO.kind, video), encode_row(row, at_ms)


async def send(bootstrap_servers: str, records: Iterable[tuple[str, int, bytes, bytes]]) -> int:
    """Append records; return how many bytes their values have."""
    sent = size = 0
    waiting = []
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", max_batch_size=1 << 20) as producer:
        for topic, partition, key, value in records:
            waiting.append(await producer.send(topic, value, key=key, partition=partition))
            sent, size = sent + 1, size + len(value)
            if len(waiting) == SENT_AT_ONCE:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    return size


async def measure(folder: Path, *, events: int, batch: int, rows: int) -> None:
    """Measure and print."""
    broker = LocalBroker(folder / "kafka", Cache.from_env(os.environ))
    await broker.start()
    environ = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "WATCHTIME_GROUP": GROUP}
    pipeline = Pipeline(folder, lambda _: environ)
    try:
        await pipeline.watchtime("topics")
        await pipeline.start(gateways=0, workers=0)
        sinks = psutil.Process(pipeline.parts["sinks-0"].pid)
        idle_from = cpu_s(sinks)
        await asyncio.sleep(10.0)
        print(f"idle: {(cpu_s(sinks) - idle_from) * 10:.1f} % of a core")
        for what, count, group, records in (
            (f"events, {batch} a record", events, "archive", raw_records(events, batch)),
            ("rows of one file", rows, "sinks", row_records(rows)),
        ):
            before = cpu_s(sinks)
            size = await send(broker.bootstrap_servers, records)
            await settled_group(broker.bootstrap_servers, group, SETTLE_S)
            used = cpu_s(sinks) - before
            print(f"{what}: {used * 1e6 / count:.1f} CPU s a million, {size / count:.0f} bytes each in the topic")
        archived = sum(file.stat().st_size for file in (folder / "lake" / "raw").glob("**/*.gz"))
        print(f"archive: {archived / events:.0f} bytes an event")
    finally:
        await pipeline.stop()
        broker.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1, help="events of a record")
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchtime-cost-") as folder:
        asyncio.run(measure(Path(folder), events=args.events, batch=args.batch, rows=args.rows))


if __name__ == "__main__":
    main()
