"""`python -m tests.brokers.cost`: CPU seconds that each stage takes for a million events, the whole path running.

CPU time and not wall time: what others do on the machine changes it little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

import psutil

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from deploy.open_loop import OpenLoop, Plan
from streams.contract.topics import EVENTS, PARTIALS, STATE
from tests.faults.progress import settled
from tests.faults.world import GROUP
from tests.pipeline import Pipeline

SETTLE_S = 300.0


async def measure(folder: Path, *, events: int, rate: float, batch: int, clients: int) -> dict[str, float]:
    """Return CPU seconds for a million events, by process."""
    broker = LocalBroker(folder / "kafka", Cache.from_env(os.environ))
    await broker.start()
    environ = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "WATCHTIME_GROUP": GROUP}
    pipeline = Pipeline(folder, lambda _: environ)
    try:
        await pipeline.watchtime("topics")
        await pipeline.start()
        processes = {"kafka": broker.pid, **{name: part.pid for name, part in pipeline.parts.items()}}
        before = {name: cpu_s(pid) for name, pid in processes.items()}
        plan = Plan(
            url=f"{pipeline.url}/ingest", clients=clients, rate=rate, seconds=3_600, batch=batch, events=events, seed=1
        )
        tally = await OpenLoop(plan, lambda _: None).run()
        await settled(broker.bootstrap_servers, SETTLE_S)
        used = {name: cpu_s(pid) - before[name] for name, pid in processes.items()}
        print(
            f"{tally.events} events in {tally.posts} POSTs, {tally.elapsed_s:.0f} s, failed tries {tally.failed_tries}"
        )
        logs = {topic: size(folder / "kafka" / "data", f"{topic}-*/*.log") for topic in (EVENTS, STATE, PARTIALS)}
        raw = size(folder / "lake" / "raw", "**/*.gz")
        print(
            f"bytes an event: {', '.join(f'{topic} {bytes_ / tally.events:.0f}' for topic, bytes_ in logs.items())}, "
            f"archive {raw / tally.events:.0f}"
        )
        return {name: seconds * 1e6 / tally.events for name, seconds in used.items()}
    finally:
        await pipeline.stop()
        broker.stop()


def size(folder: Path, pattern: str) -> int:
    """Return the bytes of the files below a folder whose path fits."""
    return sum(file.stat().st_size for file in folder.glob(pattern))


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--batch", type=int, default=1, help="a POST holds 1 to this many events")
    parser.add_argument("--clients", type=int, default=2_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchtime-cost-") as folder:
        found = asyncio.run(
            measure(Path(folder), events=args.events, rate=args.rate, batch=args.batch, clients=args.clients)
        )
    for name, seconds in found.items():
        print(f"{name:<12} {seconds:8.1f} CPU s for a million events")


if __name__ == "__main__":
    main()
