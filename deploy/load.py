"""`watchtime load`: simulated viewers in an open loop, latency percentiles, and a file of what was acknowledged.

The file has one JSON object a line for each acknowledged POST: `post` (its number), `repeat_of` (number of the POST
that it repeats, or null), `sent_ms` and `acked_ms` (first try and answer, epoch milliseconds), `unclear_tries` (tries
whose records may be in the topic too), `accepted`, `rejected`, and `body` as it was sent. Whoever folds this file
knows what the daily files must say.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Final

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local import endpoints
from deploy.local.config import StackError
from deploy.open_loop import OpenLoop, Plan, Tally

_PROGRESS_S: Final = 0.25
_FLUSH_S: Final = 0.1
_PLAIN_LINE_S: Final = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--url", help="gateway, such as http://127.0.0.1:4000 (default: from endpoints.json)")
    parser.add_argument("--clients", type=positive, default=200, help="simulated viewers (default 200)")
    parser.add_argument("--rate", type=positive_float, default=1_000.0, help="events a second, all viewers (1000)")
    parser.add_argument(
        "--seconds", type=positive_float, default=None, help="how long to post (default 10; none with --events)"
    )
    parser.add_argument("--batch", type=positive, default=50, help="a POST holds 1 to this many events (default 50)")
    parser.add_argument("--events", type=positive, default=None, help="stop after so many events")
    parser.add_argument("--repeat", type=float, default=0.0, help="share of POSTs sent twice, such as 0.05")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's events (default: drawn and printed)")
    parser.add_argument("--deadline", type=float, default=60.0, help="seconds to repeat an unanswered POST (60)")
    parser.add_argument("--out", type=Path, default=None, help="file for acknowledged POSTs (default: in the data dir)")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the load; 0 when every POST was acknowledged and nothing was rejected, else 1; 2 without a stack."""
    data_dir = Path(args.data_dir)
    try:
        url = args.url or endpoints.read(data_dir)["gateway"]
    except StackError as error:
        sys.stderr.write(f"watchtime load: {error}\n")
        return 2
    seconds = args.seconds if args.seconds is not None else (math.inf if args.events else 10.0)
    plan = Plan(
        url=ingest_url(url),
        clients=args.clients,
        rate=args.rate,
        seconds=seconds,
        batch=args.batch,
        events=args.events,
        repeat=args.repeat,
        seed=args.seed if args.seed is not None else random.SystemRandom().randrange(2**32),
        deadline_s=args.deadline,
    )
    out = args.out or data_dir / f"acknowledged-{plan.seed}.ndjson"
    out.parent.mkdir(parents=True, exist_ok=True)
    tally = post_plan(plan, out)
    facts = summary(plan, tally, out)
    sys.stdout.write(json.dumps(facts) + "\n" if args.json else render(facts))
    return 0 if is_whole(tally) else 1


def post_plan(plan: Plan, out: Path) -> Tally:
    """Run a plan from synchronous code (the main thread) and write what was acknowledged to `out`."""

    async def main() -> Tally:
        with out.open("wb", buffering=1 << 20) as file:
            loop = OpenLoop(plan, file.write)
            # A signal ends the posting, not the bookkeeping.
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, loop.stop)
            beside = [asyncio.create_task(_show(loop)), asyncio.create_task(_flush_often(file))]
            try:
                return await loop.run()
            finally:
                for task in beside:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def is_whole(tally: Tally) -> bool:
    """Tell whether every POST was acknowledged with all its events."""
    return not (tally.given_up or tally.refused or tally.rejected_events)


def summary(plan: Plan, tally: Tally, out: Path) -> dict[str, Any]:
    """Return the figures of a run; latencies in milliseconds from the scheduled time."""
    ordered = sorted(tally.latencies_ms)
    elapsed = tally.elapsed_s or math.inf
    return {
        "seed": plan.seed,
        "clients": plan.clients,
        "seconds": round(tally.elapsed_s, 3),
        "posts": tally.posts,
        "events": tally.events,
        "events_per_second": round(tally.events / elapsed, 1),
        "posts_per_second": round((tally.posts + tally.repeated_posts) / elapsed, 1),
        "repeated_posts": tally.repeated_posts,
        "repeated_events": tally.repeated_events,
        "failed_tries": tally.failed_tries,
        "unclear_tries": tally.unclear_tries,
        "given_up": tally.given_up,
        "refused": tally.refused,
        "rejected_events": tally.rejected_events,
        "refusals": tally.refusals,
        "latency_ms": {name: percentile(ordered, share) for name, share in _PERCENTILES},
        "behind_schedule_ms": round(tally.behind_ms, 1),
        "acknowledged": str(out),
    }


_PERCENTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))


def percentile(ordered: list[float], share: float) -> float | None:
    """Return the smallest value that `share` of the ordered values do not exceed (nearest rank)."""
    if not ordered:
        return None
    return round(ordered[max(math.ceil(share * len(ordered)), 1) - 1], 2)


def render(facts: dict[str, Any]) -> str:
    """Return the summary as lines for a person."""
    latency = "  ".join(f"{name} {value} ms" for name, value in facts["latency_ms"].items())
    lines = [
        f"events        {facts['events']:,} in {facts['posts']:,} POSTs, {facts['seconds']} s, seed {facts['seed']}",
        f"rate          {facts['events_per_second']:,} events/s, {facts['posts_per_second']:,} POST/s",
        f"latency       {latency}  (from the scheduled time)",
        f"repeated      {facts['repeated_posts']:,} POSTs, {facts['repeated_events']:,} events",
        f"failed tries  {facts['failed_tries']:,}, of which unclear {facts['unclear_tries']:,}",
        f"behind        {facts['behind_schedule_ms']} ms at most (the generator's own delay)",
        f"acknowledged  {facts['acknowledged']}",
    ]
    if facts["given_up"] or facts["refused"] or facts["rejected_events"]:
        lines.append(
            f"NOT TAKEN     {facts['given_up']} POSTs given up, {facts['refused']} refused, "
            f"{facts['rejected_events']} events rejected",
        )
        lines.extend(f"  {text}" for text in facts["refusals"])
    return "\n".join(lines) + "\n"


def ingest_url(url: str) -> str:
    """Return the address that takes events, for a gateway's address or that address itself."""
    return url if url.rstrip("/").endswith("/ingest") else url.rstrip("/") + "/ingest"


async def _flush_often(file: BinaryIO) -> None:
    """Write down what was acknowledged until cancelled, so that a kill leaves little untold."""
    while True:
        await asyncio.sleep(_FLUSH_S)
        file.flush()


async def _show(loop: OpenLoop) -> None:
    """Show how far a run is until cancelled; plain lines where there is no terminal."""
    plan, tally = loop.plan, loop.tally
    total = plan.events if plan.events is not None else plan.rate * plan.seconds
    console = Console(stderr=True)
    if not console.is_terminal:
        while True:
            await asyncio.sleep(_PLAIN_LINE_S)
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {tally.events:,} of {total:,.0f} events acknowledged\n")
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("events acknowledged", total=total)
        while True:
            progress.update(bar, completed=tally.events)
            await asyncio.sleep(_PROGRESS_S)


def positive(text: str) -> int:
    """Return a whole number from 1 on, for the argument parser."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def positive_float(text: str) -> float:
    """Return a finite number above 0, for the argument parser."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
