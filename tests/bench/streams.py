"""How fast one stream worker folds a topic that is already full, with the broker on the same machine.

Starts a broker of its own in a temporary folder, fills the raw topic, starts a worker on it, and prints per run and as
medians: events a second between the first and the last folded event, the time until the last total was published, the
worker's CPU time per million events and its memory.

    python -m tests.bench.streams [--events 400000] [--per-record 10 1] [--runs 3] [--clients 2000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from streams.contract import topics
from streams.provision import provision
from tests.bench.gateway import cpu_s, machine
from tests.integration.stream_workers import Worker
from tests.servers import delete_topics

PARTITIONS = 4
EVENT_BYTES = 600
#: A run that has not folded everything by then has failed.
RUN_WITHIN_S = 300.0
#: Reading the metrics costs the worker some time of its own.
POLL_S = 0.1
FIGURES = ("events_per_s", "published_after_s", "worker_cpu_s_per_million", "broker_cpu_s_per_million", "rss_mb")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="events in the topic")
    parser.add_argument("--per-record", type=int, nargs="+", default=[10, 1], help="events in a record")
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    args = parser.parse_args()
    report = asyncio.run(measure(args))
    sys.stdout.write((json.dumps(report, indent=2) if args.json else table(report)) + "\n")
    return 0


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured, and on which machine."""
    results = []
    with tempfile.TemporaryDirectory(prefix="watchtime-bench-") as folder:
        # Without the options for a quick start: they make the broker slower under load.
        broker = LocalBroker(Path(folder, "kafka"), Cache.from_env(os.environ), jvm=())
        await broker.start()
        try:
            for per_record in args.per_record:
                await delete_topics(broker.bootstrap_servers)
                await provision(broker.bootstrap_servers, PARTITIONS, 1, replication=1, client_table=False)
                event_bytes = await fill(broker.bootstrap_servers, args.events, per_record, args.clients)
                runs = [await run(broker, Path(folder), args.events, number) for number in range(args.runs)]
                medians = {name: statistics.median(one[name] for one in runs) for name in FIGURES}
                results.append(
                    {"events_per_record": per_record, "event_bytes": event_bytes, "median": medians, "runs": runs}
                )
        finally:
            broker.stop()
    return {"machine": machine(), "events": args.events, "clients": args.clients, "results": results}


async def run(broker: LocalBroker, folder: Path, events: int, number: int) -> dict[str, Any]:
    """Fold the whole topic by a new worker that finds neither state nor totals; return the figures."""
    await delete_results(broker.bootstrap_servers)
    await provision(broker.bootstrap_servers, PARTITIONS, 1, replication=1, client_table=False)
    # A group of its own: the last one's committed offsets would say that state was lost.
    group = f"bench-{os.getpid()}-{number}-{time.monotonic_ns()}"
    broker_process = psutil.Process(broker.pid)
    broker_before_s = cpu_s(broker_process)
    started = time.monotonic()
    worker = Worker(broker.bootstrap_servers, group, folder / f"{group}.log", partitions=PARTITIONS, instance="bench")
    try:
        process = psutil.Process(worker.child.pid)
        first_at, first, first_cpu_s = await folded(worker, 1)
        last_at, last, last_cpu_s = await folded(worker, events)
        ends = await published(broker.bootstrap_servers, events)
        rss = process.memory_info().rss
    finally:
        code = worker.child.stop(20.0)
    if code:
        raise RuntimeError(f"the worker ended with {code}: {worker.log.read_text()[-2_000:]}")
    return {
        "events_per_s": (last - first) / (last_at - first_at),
        "started_after_s": first_at - started,
        "published_after_s": ends - last_at,
        "worker_cpu_s_per_million": (last_cpu_s - first_cpu_s) / (last - first) * 1e6,
        "broker_cpu_s_per_million": (cpu_s(broker_process) - broker_before_s) / events * 1e6,
        "rss_mb": rss / 2**20,
    }


async def delete_results(bootstrap_servers: str) -> None:
    """Delete the topics that workers write, and wait until the broker lists none of them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        async with asyncio.timeout(20):
            while names := [name for name in await admin.list_topics() if name.startswith("watch.")]:
                names.remove(topics.EVENTS)
                if not names:
                    return
                await admin.delete_topics(names)
    finally:
        await admin.close()


async def folded(worker: Worker, events: int) -> tuple[float, int, float]:
    """Wait until the worker has folded so many events; return when, how many, and the CPU seconds it had used."""
    process = psutil.Process(worker.child.pid)
    async with asyncio.timeout(RUN_WITHIN_S):
        while (done := int(await worker.metric("watchtime_streams_events_total"))) < events:
            if worker.child.exit_code() is not None:
                raise RuntimeError(f"the worker ended: {worker.log.read_text()[-2_000:]}")
            await asyncio.sleep(POLL_S)
    return time.monotonic(), done, cpu_s(process)


async def published(bootstrap_servers: str, events: int) -> float:
    """Wait until the daily topic counts every event; return when."""
    partition = TopicPartition("watch.ingest_daily", 0)
    counts: dict[bytes, int] = {}
    async with (
        asyncio.timeout(RUN_WITHIN_S),
        AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, isolation_level="read_committed") as consumer,
    ):
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        while sum(counts.values()) < events:
            for record in (await consumer.getmany(partition, timeout_ms=100)).get(partition, ()):
                counts[record.key] = orjson.loads(record.value)["total_events"]
    return time.monotonic()


async def fill(bootstrap_servers: str, events: int, per_record: int, clients: int) -> float:
    """Append the events, `per_record` of one client a record; return the mean size of an event."""
    waiting: dict[str, list[bytes]] = defaultdict(list)
    size, futures = 0, []
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", linger_ms=20, max_batch_size=1024 * 1024
    ) as producer:
        for client, line in lines(events, clients):
            size += len(line)
            waiting[client].append(line)
            if len(waiting[client]) == per_record:
                value = b"".join(waiting.pop(client))
                futures.append(await producer.send(topics.EVENTS, value, key=client.encode()))
        for client, rest in waiting.items():
            futures.append(await producer.send(topics.EVENTS, b"".join(rest), key=client.encode()))
        await asyncio.gather(*futures)
    return size / events


def lines(events: int, clients: int) -> Iterator[tuple[str, bytes]]:
    """Give events as a gateway writes them: ticks and some starts of videos of uneven popularity."""
    pick = random.Random(1)
    now_ms = time.time_ns() // 1_000_000
    numbers = [0] * clients
    names = [f"{pick.getrandbits(128):032x}" for _ in range(clients)]
    for _ in range(events):
        who = pick.randrange(clients)
        client, video = names[who], int(pick.paretovariate(0.9)) % 5_000
        event = {
            "schema": 1,
            "event_id": f"{pick.getrandbits(128):032x}",
            "event_ts": now_ms - pick.randrange(3_600_000),
            "event_type": "video_start" if pick.random() < 0.1 else "watch_tick",
            "client_session_id": client,
            "tab_id": client[:8],
            "video_id": f"vid{video:08d}",
            "video_session_id": f"{client[:13]}{video}",
            "channel_name": f"Channel {video % 500}",
            "channel_url": f"https://www.youtube.com/@channel{video % 500}",
            "watch_ms_delta": 10_000,
            "watch_mode": "foreground" if pick.random() < 0.7 else "background",
            "tz_offset_min": -60,
            "seq": numbers[who],
            "seq_epoch": client[8:24],
            "received_at": now_ms,
            "client_id": client,
        }
        numbers[who] += 1
        line = orjson.dumps(event)
        event["url"] = "https://www.youtube.com/watch?v=".ljust(EVENT_BYTES - len(line) - len(b',"url":""\n'), "x")
        yield client, orjson.dumps(event) + b"\n"


def table(report: dict[str, Any]) -> str:
    """Return the report for people: medians, with the extremes of the runs in brackets."""
    text = [f"{report['machine']}, {report['events']:,} events of {report['clients']:,} clients, one worker"]
    for result in report["results"]:
        runs = result["runs"]
        text.append(f"{result['events_per_record']} event(s) a record, median of {len(runs)}:")
        for name in FIGURES:
            values = [one[name] for one in runs]
            text.append(f"  {name:26} {result['median'][name]:12,.1f}   ({min(values):,.1f} … {max(values):,.1f})")
    return "\n".join(text)


if __name__ == "__main__":
    sys.exit(main())
