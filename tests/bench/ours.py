"""Runs stream workers of this checkout over a full raw topic and measures them from outside."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import orjson
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.process import log_tail
from tests.bench.machine import Watch, cpu_s, peak_mb
from tests.bench.raw_topic import fresh
from tests.integration.stream_workers import Worker

#: A run that has not folded everything by then has failed.
RUN_WITHIN_S = 300.0
#: Reading the metrics costs the worker some time of its own.
POLL_S = 0.2


async def fold(  # noqa: PLR0913 (each one is named at the call)
    *, bootstrap_servers: str, broker_pid: int, folder: Path, events: int, partitions: int, workers: int = 1
) -> dict[str, Any]:
    """Fold the whole topic by workers that find neither state nor totals.

    The clock runs from the first look that sees folded events to the first one that sees all of them.
    """
    await fresh(bootstrap_servers, partitions, keep_raw=True)
    # A group of its own: the last one's committed offsets would say that state was lost.
    group = f"bench-{os.getpid()}-{time.monotonic_ns()}"
    watch = Watch(broker_pid)
    running = [
        Worker(bootstrap_servers, group, folder / f"{group}-{n}.log", partitions=partitions, instance=f"bench-{n}")
        for n in range(workers)
    ]
    try:
        first_at, first, first_cpu_s = await _folded(running, 1)
        last_at, last, last_cpu_s = await _folded(running, events)
        published_at = await _published(bootstrap_servers, events, running)
        rss_mb = sum(peak_mb(worker.child.pid) for worker in running)
    finally:
        codes = [worker.child.stop(20.0) for worker in running]
    if any(codes):
        raise RuntimeError(f"a worker ended with {codes}: {log_tail(running[0].log)}")
    if last == first:
        raise RuntimeError(f"all {events:,} events were folded between two looks: too few of them to measure anything")
    return {
        "events_per_s": (last - first) / (last_at - first_at),
        "cpu_s_per_million": (last_cpu_s - first_cpu_s) / (last - first) * 1e6,
        "broker_cpu_s_per_million": watch.broker_s() / events * 1e6,
        "rss_mb": rss_mb,
        "published_after_s": published_at - last_at,
        "others": watch.others(),
    }


async def _folded(workers: list[Worker], events: int) -> tuple[float, int, float]:
    """Wait until the workers have folded so many events; return when, how many, and the CPU seconds used so far."""
    processes = [psutil.Process(worker.child.pid) for worker in workers]
    async with asyncio.timeout(RUN_WITHIN_S):
        while (done := sum([await _events(worker) for worker in workers])) < events:
            _demand_alive(workers)
            await asyncio.sleep(POLL_S)
    return time.monotonic(), done, sum(map(cpu_s, processes))


async def _events(worker: Worker) -> int:
    return int(await worker.metric("watchtime_streams_events_total"))


def _demand_alive(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.child.exit_code() is not None:
            raise RuntimeError(f"a worker ended: {log_tail(worker.log)}")


async def _published(bootstrap_servers: str, events: int, workers: list[Worker]) -> float:
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
            _demand_alive(workers)
            for record in (await consumer.getmany(partition, timeout_ms=100)).get(partition, ()):
                counts[record.key] = orjson.loads(record.value)["total_events"]
    return time.monotonic()
