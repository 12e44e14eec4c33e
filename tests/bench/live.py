"""What viewers of the live page cost: CPU of one gateway process against the number of viewers.

The rows are put in by hand (20,000 videos, one changes every 50 ms), so no broker is needed and nothing but the
viewers differs between two lines.

    python -m tests.bench.live [--viewers 1 100 1000] [--seconds 10] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import psutil
import uvloop

from gateway.app import app_runner, build_app, site
from gateway.daily_reader import Reader
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table
from tests.bench.machine import cpu_s
from tests.live_gateway import put

VIDEOS = 20_000
CHANGE_S = 0.05
ASK = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main() -> int:
    """Measure and print; exit 1 when a viewer saw nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 100, 1_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        uvloop.run(serve())
        return 0
    results = [measure(count, args.seconds) for count in args.viewers]
    if args.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    return 0 if all(result["views_per_s"] for result in results) else 1


def measure(viewers: int, seconds: float) -> dict[str, Any]:
    """Return what one process spends on so many viewers."""
    command = [sys.executable, "-m", "tests.bench.live", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            result = asyncio.run(look(port, viewers, seconds, psutil.Process(process.pid)))
        finally:
            process.terminate()
    told = (
        f"{viewers:5} viewers: {result['cpu_percent']:6.1f} % of a core, "
        f"{result['views_per_s']:.2f} views/s each, {result['rss_mib']:.0f} MiB\n"
    )
    sys.stderr.write(told)
    return result


async def look(port: int, viewers: int, seconds: float, server: psutil.Process) -> dict[str, Any]:
    """Connect viewers, let them settle, and measure."""
    seen = 0

    async def view() -> None:
        nonlocal seen
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(ASK)
        try:
            while line := await reader.readline():
                seen += line.startswith(b"event: view")
        finally:
            writer.close()

    tasks = [asyncio.create_task(view()) for _ in range(viewers)]
    async with asyncio.timeout(60):
        while seen < viewers:  # noqa: ASYNC110 - a number has no event
            await asyncio.sleep(0.05)
    before, started_s, seen = cpu_s(server), time.perf_counter(), 0
    await asyncio.sleep(seconds)
    took_s = time.perf_counter() - started_s
    result = {
        "viewers": viewers,
        "cpu_percent": (cpu_s(server) - before) / took_s * 100,
        "views_per_s": seen / took_s / viewers,
        "rss_mib": server.memory_info().rss / 2**20,
    }
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return result


async def serve() -> None:
    """Serve rows that change, until the process is ended; the first line of output is the port."""
    reader = Reader(VIDEOS)

    def watched(table: Table, row_id: str, watch_ms: int) -> None:
        counters = [watch_ms] * len(table.counters)
        put(reader.days, table, row_id, counters, channel="a channel" if table is VIDEO else None)

    for number in range(VIDEOS):
        watched(VIDEO, f"video-{number:05}", number)
        watched(CHANNEL, f"channel {number % 999}", number)
    watched(HOUR, "7", 1)
    watched(INGEST, "", 1)
    reader.caught_up.set()
    app = build_app(Settings(live_streams=10_000), MemoryPublisher(), reader=reader)
    runner = app_runner(app)
    await runner.setup()
    await site(runner, "127.0.0.1", 0, 1024).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    number = VIDEOS
    while os.getppid() != 1:
        number += 1
        watched(VIDEO, f"video-{number % VIDEOS:05}", number)
        await asyncio.sleep(CHANGE_S)


if __name__ == "__main__":
    sys.exit(main())
