"""Part `latency`: how long a watched minute takes from its POST to the daily topic and to the file.

A whole stack, started as a user starts it, under a steady load of half of what its gateway takes. Beside that load a
prober posts one view at a time, each of a video of its own, on a schedule that waits for nothing, and notes when the
row of that video is in the compacted topic and in the file.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.contract.days import dt_of_ms
from tests.bench.gateway import run_wrk
from tests.bench.machine import Watch
from tests.bench.report import Part, Plan, mark, number, table
from tests.stacks import Stack

SECONDS: Final = 40
PEAK_SECONDS: Final = 5
PER_POST: Final = 10
CONNECTIONS: Final = 16
#: More of them, and slower ones, for the steady load.
CALM_CONNECTIONS: Final = 64
PROBES_PER_S: Final = 20
REFRESH_S: Final = 10
SETTLE_S: Final = 120.0
FILE_POLL_S: Final = 0.25
TOPIC: Final = TopicPartition("watch.video_daily", 0)


class Probes:
    """When each probe was posted, and when its row was seen in the topic and in the file."""

    def __init__(self, stack: Stack, lake: Path) -> None:
        self._stack = stack
        self._lake = lake
        self.posted: dict[str, float] = {}
        self.in_topic: dict[str, float] = {}
        self.in_file: dict[str, float] = {}

    async def post(self, seconds: float) -> None:
        """Post probes on their schedule, and return when all are answered."""
        started = time.monotonic()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as under_way:
            for number_ in range(int(seconds * PROBES_PER_S)):
                await asyncio.sleep(max(0.0, started + number_ / PROBES_PER_S - time.monotonic()))
                under_way.create_task(self._post(session, f"probe-{number_:06d}"))

    async def _post(self, session: aiohttp.ClientSession, video: str) -> None:
        event = {
            "schema": 1,
            "event_id": video,
            "event_ts": time.time_ns() // 1_000_000,
            "event_type": "video_start",
            "client_session_id": f"client-of-{video}",
            "tab_id": "1",
            "video_id": video,
            "video_session_id": video,
            "channel_name": "Probes",
        }
        self.posted[video] = time.monotonic()
        async with session.post(f"{self._stack.gateway}/ingest", json=event) as response:
            response.raise_for_status()

    async def watch_topic(self) -> None:
        """Note when rows of probes come, for ever."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self._stack.endpoints["bootstrap_servers"],
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
        ) as consumer:
            consumer.assign([TOPIC])
            while True:
                for record in (await consumer.getmany(TOPIC, timeout_ms=50)).get(TOPIC, ()):
                    video = record.key.decode().partition("|")[2]
                    if video in self.posted:
                        self.in_topic.setdefault(video, time.monotonic())

    async def watch_file(self) -> None:
        """Note when rows of probes are in the day's file, for ever."""
        file = self._lake / "analytics" / "video_daily" / f"dt={dt_of_ms(time.time_ns() // 1_000_000)}" / "data.parquet"
        read = b""
        while True:
            await asyncio.sleep(FILE_POLL_S)
            body = await asyncio.to_thread(file.read_bytes) if file.exists() else b""
            if body == read:
                continue
            read, now = body, time.monotonic()
            videos = await asyncio.to_thread(_videos, body)
            for video in videos & self.posted.keys() - self.in_file.keys():
                self.in_file[video] = now

    async def all_seen(self) -> None:
        """Return when every probe is in topic and file."""
        async with asyncio.timeout(SETTLE_S):
            while min(len(self.in_topic), len(self.in_file)) < len(self.posted):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.1)

    def waits_ms(self, seen: dict[str, float]) -> list[float]:
        """Return the time from POST to sight of every probe, in order."""
        return sorted((seen[video] - posted) * 1_000 for video, posted in self.posted.items())


def _videos(body: bytes) -> set[str]:
    return set(pq.read_table(io.BytesIO(body), columns=["video_id"]).column("video_id").to_pylist())


async def measure(plan: Plan) -> Part:
    """Return the latencies, and whether a queue grew."""
    part = Part(title="End to end: from a POST to the daily topic and to the file")
    lake = plan.folder / "lake"
    lake.mkdir()
    stack = Stack(plan.folder / "stack", {})
    plan.say("starting a stack")
    await asyncio.to_thread(stack.up, "--refresh-s", str(REFRESH_S), "--lake", lake.as_uri())
    try:
        await _measure(plan, part, stack, lake)
    finally:
        await asyncio.to_thread(stack.down)
    return part


async def _measure(plan: Plan, part: Part, stack: Stack, lake: Path) -> None:
    peak = await asyncio.to_thread(_load, stack, plan.seconds(PEAK_SECONDS), 0)
    plan.say(f"peak: {peak['events_per_s']:,.0f} events/s in POSTs of {PER_POST}; waiting until all is worked through")
    await _drained(stack)
    think_ms = max(1, round(CALM_CONNECTIONS / (peak["posts_per_s"] / 2) * 1_000))
    seconds = plan.seconds(SECONDS)
    probes = Probes(stack, lake)
    lags: list[float] = []
    watch = Watch(stack.pids["kafka"], *(pid for name, pid in stack.pids.items() if name != "kafka"))
    watching = [asyncio.create_task(work) for work in (probes.watch_topic(), probes.watch_file(), _sample(stack, lags))]
    try:
        load = asyncio.create_task(asyncio.to_thread(_load, stack, seconds, think_ms))
        await probes.post(seconds)
        calm = await load
        run = {"others": watch.others()}
        await probes.all_seen()
    finally:
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
    _report(part, probes, {**run, "load": calm, "peak": peak, "lags": lags})


def _report(part: Part, probes: Probes, run: dict[str, Any]) -> None:
    topic, file, lags = probes.waits_ms(probes.in_topic), probes.waits_ms(probes.in_file), run["lags"]
    half = len(lags) // 2 or 1
    part.figures = {**run, "topic_ms": topic, "file_ms": file}
    rate, peak = run["load"]["events_per_s"], run["peak"]["events_per_s"]
    head = [f"at {rate:,.0f} events/s, {rate / peak:.0%} of the peak{mark([run])}", "p50", "p99", "most"]
    body = [
        ["in the compacted daily topic, ms", *(number(value) for value in _quantiles(topic))],
        [f"in the day's file (refresh {REFRESH_S} s), s", *(number(value / 1e3, 1) for value in _quantiles(file))],
    ]
    queue = (
        f"Raw records not yet folded, each second: {sum(lags[:half]) / half:,.0f} on average in the first half, "
        f"{sum(lags[half:]) / max(1, len(lags) - half):,.0f} in the second."
    )
    part.markdown += [*table(head, body), "", queue]


def _quantiles(waits: Sequence[float]) -> tuple[float, float, float]:
    return waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]


def _load(stack: Stack, seconds: int, think_ms: int) -> dict[str, Any]:
    pids = stack.pids
    processes = psutil.Process(pids["gateway-0"]), psutil.Process(pids["kafka"])
    connections = CALM_CONNECTIONS if think_ms else CONNECTIONS
    return run_wrk(stack.gateway, processes, PER_POST, seconds, connections, think_ms)


async def _sample(stack: Stack, lags: list[float]) -> None:
    """Note the lag of the fold once a second, for ever."""
    async with aiohttp.ClientSession() as session:
        while True:
            await asyncio.sleep(1)
            lags.append(await _lag(stack, session))


async def _lag(stack: Stack, session: aiohttp.ClientSession) -> float:
    async with session.get(stack.endpoints["stage_metrics"]["streams-0"]) as response:
        text = await response.text()
    own = 'watchtime_streams_lag_records{partition="'
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith(own) and 'topic="watch.events"' in line
    )


async def _drained(stack: Stack) -> None:
    """Return when the fold has worked through all that was posted."""
    async with asyncio.timeout(SETTLE_S), aiohttp.ClientSession() as session:
        calm = 0
        while calm < 3:
            await asyncio.sleep(0.5)
            calm = calm + 1 if await _lag(stack, session) == 0 else 0
