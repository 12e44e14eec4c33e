"""`make bench`: all figures of the README, on this machine, beside other programs that do the same work.

    python -m tests.bench [--only streams gateway latency restore batch sinks growth] [--runs 5] [--scale 1.0]

Says on standard error what it is doing, prints Markdown on standard output, and leaves every run's figures in
build/bench/ as JSON. A run during which other work took more than 15 % of a core does not count; a star marks what
had no other run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.bench import batch, gateway_race, growth, latency, restore_race, sinks, streams
from tests.bench.machine import DISTURBED, facts, sentence
from tests.bench.peers.homes import Homes
from tests.bench.report import Part, Plan

ROOT = Path(__file__).parents[2]
STAR = f"other work took more than {DISTURBED:.0%} of a core in every run; otherwise such runs do not count."
PARTS = {
    "streams": streams.measure,
    "gateway": gateway_race.measure,
    "latency": latency.measure,
    "restore": restore_race.measure,
    "batch": batch.measure,
    "sinks": sinks.measure,
    "growth": growth.measure,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=5, help="runs of each candidate; slow ones have fewer")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: fewer events, to see that all works")
    args = parser.parse_args()
    started = time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - started:5.0f} s] {what}\n")
        sys.stderr.flush()

    # It says again and again that a topic just made has no leader yet, which it waits for by itself.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    machine = facts()
    say(sentence(machine))
    done: dict[str, Part] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="watchtime-bench-") as folder:
        plan = Plan(folder=Path(folder), runs=args.runs, scale=args.scale, homes=Homes(say), say=say)
        for name in args.only:
            say(f"part {name}")
            try:
                done[name] = asyncio.run(PARTS[name](plan))
            except Exception as error:  # noqa: BLE001 (the other parts are measured all the same)
                traceback.print_exception(error)
                say(f"part {name} failed: {error}")
                failed.append(name)
                continue
            sys.stdout.write(f"\n{done[name].text()}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\nMeasured on {sentence(machine)}. Medians of up to {args.runs} runs in turn.\n")
    sys.stdout.write(f"A star: {STAR}\n")
    say(f"figures of all runs: {keep(machine, vars(args), done)}")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def keep(machine: dict[str, object], asked: dict[str, object], done: dict[str, Part]) -> Path:
    """Write all figures under the build folder; return the file."""
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    parts = {name: {"figures": part.figures, "skipped": part.skipped} for name, part in done.items()}
    file.write_text(json.dumps({"machine": machine, "asked": asked, "parts": parts}, indent=2) + "\n")
    return file


if __name__ == "__main__":
    sys.exit(main())
