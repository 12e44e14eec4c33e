"""Part `gateway`: POSTs a second of one gateway process, with everything on and beside gateways that do less.

wrk posts through 16 connections on the same machine. Each candidate is started anew for each turn.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Child, Program, log_tail
from streams.contract import topics
from tests.bench.gateway import make_public, run_wrk, wait_for
from tests.bench.machine import Watch
from tests.bench.peers.homes import FOLDER, PeerMissingError
from tests.bench.raw_topic import fresh
from tests.bench.report import Part, Plan, Run, mark, median, number, table

CONNECTIONS = 16
#: More of them, and slower ones, for a load below the peak.
CALM_CONNECTIONS = 64
PER_POST = (1, 10, 50)
SECONDS, CALM_SECONDS, WARM_UP_SECONDS = 3, 8, 5
MOST_RUNS = 5
TOKENS = "WATCHTIME_TOKENS"
OPEN, SECURED, UNCHECKED = "**Watchtime**, open", "**Watchtime**, tokens and limits on", "Watchtime without validation"
PARSE_ONLY, REFERENCE = "aiohttp that only parses the body", "the reference: Flask's development server, a file"


@dataclass(frozen=True)
class Candidate:
    """A gateway: how to start it on a port."""

    name: str
    command: Callable[[int], list[str]]
    environ: Mapping[str, str] = field(default_factory=dict)
    #: Our own takes its settings from the environment and says in its log when it has found the broker.
    is_ours: bool = True


async def measure(plan: Plan) -> Part:
    """Return POSTs a second at each size, and the latency at half of the peak."""
    part = Part(title=f"Gateway: one process, {CONNECTIONS} connections")
    if shutil.which("wrk") is None:
        part.skipped["all gateways"] = "wrk is not installed (Debian: apt-get install wrk)"
        return part
    broker = LocalBroker(Path(plan.folder, "gateway-part"), Cache.from_env(os.environ), jvm=())
    await broker.start()
    try:
        await fresh(broker.bootstrap_servers, 4)
        candidates = _candidates(plan, part)
        measured: dict[str, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
        with _running(candidates[0], broker, plan) as (url, pid):
            plan.say("warming up: Java compiles the broker while it works")
            _post(url, pid, broker.pid, PER_POST[-1], plan.seconds(WARM_UP_SECONDS))
        for turn in range(min(plan.runs, MOST_RUNS)):
            for candidate in candidates:
                with _running(candidate, broker, plan) as (url, pid):
                    for per_post in PER_POST:
                        run = _post(url, pid, broker.pid, per_post, plan.seconds(SECONDS))
                        measured[candidate.name][per_post].append(run)
                        told = f"{run['posts_per_s']:,.0f} POST/s, p99 {run['p99_ms']:.1f} ms"
                        plan.say(f"{turn + 1} {candidate.name}, {per_post} a POST: {told}, others {run['others']:.0%}")
        part.figures = {name: {str(size): runs for size, runs in sizes.items()} for name, sizes in measured.items()}
        part.markdown += rows(measured)
        await _calm(plan, part, broker, candidates[0], median(measured[OPEN][1], "posts_per_s"))
    finally:
        broker.stop()
    return part


def _candidates(plan: Plan, part: Part) -> list[Candidate]:
    ours = [sys.executable, "-m", "gateway"]
    limits = make_public(plan.folder)
    tokens = os.environ.pop(TOKENS)  # for wrk, and only where they are asked for
    found = [
        Candidate(OPEN, lambda _: ours),
        Candidate(SECURED, lambda _: ours, {**limits, TOKENS: tokens}),
        Candidate(UNCHECKED, lambda _: [sys.executable, str(FOLDER / "unchecked_gateway.py")]),
        Candidate(
            PARSE_ONLY, lambda port: [sys.executable, str(FOLDER / "parse_gateway.py"), str(port)], is_ours=False
        ),
    ]
    try:
        flask, file = plan.homes.python("flask"), str(plan.folder / "delivered.ndjson")
        script = str(FOLDER / "flask_gateway.py")
        found.append(Candidate(REFERENCE, lambda port: [flask, script, str(port), file], is_ours=False))
    except PeerMissingError as error:
        part.skipped[REFERENCE] = str(error)
    return found


@contextmanager
def _running(candidate: Candidate, broker: LocalBroker, plan: Plan) -> Iterator[tuple[str, int]]:
    """Run a gateway; yields its URL and pid once it answers."""
    port = free_port()
    log = plan.folder / f"gateway-{time.monotonic_ns()}.log"
    environ = {
        **candidate.environ,
        "PYTHONPATH": str(FOLDER.parents[2]),
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "GATEWAY_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "GATEWAY_METRICS_PORT": "0",
    }
    child = Child(Program(name="gateway", command=candidate.command(port), log=log, environ=environ))
    if TOKENS in candidate.environ:
        os.environ[TOKENS] = candidate.environ[TOKENS]
    try:
        if candidate.is_ours:
            wait_for(log, "broker reached")
        _wait_for_answer(f"http://{LOOPBACK}:{port}/health", log)
        yield f"http://{LOOPBACK}:{port}", child.pid
    finally:
        os.environ.pop(TOKENS, None)
        child.stop(10)


def _wait_for_answer(url: str, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5)  # noqa: S310 (our own address)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"{url} does not answer: {log_tail(log)}")


def _post(  # noqa: PLR0913, PLR0917 (plain figures)
    url: str, pid: int, broker_pid: int, per_post: int, seconds: int, think_ms: int = 0
) -> dict[str, float]:
    """Post for some seconds, after one to warm up."""
    processes = psutil.Process(pid), psutil.Process(broker_pid)
    connections = CALM_CONNECTIONS if think_ms else CONNECTIONS
    run_wrk(url, processes, per_post, 1, connections, think_ms)
    watch = Watch(broker_pid, pid)
    run = run_wrk(url, processes, per_post, seconds, connections, think_ms)
    if run["failed"]:
        raise RuntimeError(f"{run['failed']} POSTs to {url} failed")
    return {**run, "others": watch.others()}


async def _calm(plan: Plan, part: Part, broker: LocalBroker, candidate: Candidate, peak: float) -> None:
    """Measure latency at about half of the peak, beside that of the broker alone."""
    think_ms = max(1, round(CALM_CONNECTIONS / (peak / 2) * 1_000))
    with _running(candidate, broker, plan) as (url, pid):
        run = _post(url, pid, broker.pid, 1, plan.seconds(CALM_SECONDS), think_ms)
    broker_p99_ms = await _broker_p99_ms(broker.bootstrap_servers, plan.seconds(CALM_SECONDS))
    part.figures["half of the peak"] = {**run, "broker_p99_ms": broker_p99_ms}
    told = (
        f"At {run['posts_per_s']:,.0f} POST/s ({run['posts_per_s'] / peak:.0%} of the peak), one event each, "
        f"{CALM_CONNECTIONS} connections: p50 {run['p50_ms']:.1f} ms, p99 {run['p99_ms']:.1f} ms{mark([run])}; "
        f"an acknowledgement of the broker alone takes p99 {broker_p99_ms:.1f} ms."
    )
    part.markdown += ["", told]


async def _broker_p99_ms(bootstrap_servers: str, seconds: int) -> float:
    """Return the time that 99 of 100 records take to be acknowledged, at some hundreds a second."""
    taken: list[float] = []
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True) as producer:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            await producer.send_and_wait(topics.EVENTS, b"{}\n", key=b"bench")
            taken.append((time.monotonic() - started) * 1_000)
            await asyncio.sleep(0.002)
    return sorted(taken)[int(len(taken) * 0.99)]


def rows(measured: Mapping[str, Mapping[int, list[Run]]]) -> list[str]:
    """Return the table: POSTs a second at each size."""
    sizes = [f"POST/s at {size}" for size in PER_POST]
    body = []
    for name, runs in measured.items():
        every = [run for some in runs.values() for run in some]
        posts = [number(median(runs[size], "posts_per_s")) for size in PER_POST]
        cpu = number(median(runs[PER_POST[-1]], "gateway_cpu_us_per_event"), 1)
        body.append([name + mark(every), *posts, number(median(runs[1], "p99_ms"), 1), cpu])
    lines = table(["", *sizes, "p99 ms at 1", f"CPU µs an event at {PER_POST[-1]}"], body)
    shares = []
    for other in (UNCHECKED, PARSE_ONLY, REFERENCE):
        if other not in measured:
            continue
        for name in (OPEN, SECURED):
            ratios = [
                median(measured[name][size], "posts_per_s") / median(measured[other][size], "posts_per_s")
                for size in PER_POST
            ]
            shares.append([f"{name} against {other}", *(f"{ratio:.2f}x" for ratio in ratios)])
    return [*lines, "", *table(["", *(f"at {size}" for size in PER_POST)], shares)]
