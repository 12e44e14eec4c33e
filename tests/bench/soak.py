"""A stack under steady load for long: does memory or latency grow, and are the rows right at the end?

Starts a stack of its own, posts at a fixed rate, and takes each child's memory and the latency of POSTs in windows.
Ends with 0 when nothing grew from the second quarter to the last one and `reconcile` finds no drift.

    python -m tests.bench.soak [--minutes 20] [--rate 8000] [--clients 1000]

Half of the peak rate is meant: on two cores, with broker, generator and all stages on them, a stack kept up with 14,000
events a second in POSTs of 1 to 50 (nothing unfolded at the end, p99 373 ms); more was not tried.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from deploy.load import is_whole, percentile
from deploy.local.ports import free_port
from deploy.open_loop import Plan
from tests import oracle, proof
from tests.faults.loads import posting
from tests.stacks import Stack

WINDOWS = 40
#: Growth from the second quarter to the last that is not taken for a leak: the state of clients does grow.
RSS_GROWTH = 1.2
#: What the sinks may grow by while their first raw objects fill: four partitions of 16 MiB before compression, their
#: compressed pieces and the copy that is being written. Flat afterwards, which takes longer than a short run.
FILLING_MIB = 64.0
LATENCY_GROWTH = 2.0
#: Latencies below this are the machine's noise, ms.
LATENCY_FLOOR_MS = 50.0


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=8_000.0, help="events a second")
    parser.add_argument("--clients", type=int, default=1_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchtime-soak-") as folder:
        stack = Stack(Path(folder, "data"), {})
        stack.up("--gateway-port", str(free_port()))
        try:
            complaints = run(stack, args)
        finally:
            stack.down()
    print("flat, drift=0" if not complaints else "\n".join(complaints))
    return 1 if complaints else 0


def run(stack: Stack, args: argparse.Namespace) -> list[str]:
    """Load the stack; return what is wrong."""
    seconds = args.minutes * 60
    plan = Plan(
        url=f"{stack.gateway}/ingest",
        clients=args.clients,
        rate=args.rate,
        seconds=seconds,
        batch=50,
        repeat=0.02,
        seed=1,
    )
    acknowledged = stack.data_dir / "acknowledged.ndjson"
    rss: dict[str, list[float]] = {}
    latency_ms: list[float] = []
    with posting(plan, acknowledged) as tally:
        seen = 0
        for window in range(WINDOWS):
            time.sleep(seconds / WINDOWS)
            for name, pid in stack.pids.items():
                rss.setdefault(name, []).append(psutil.Process(pid).memory_info().rss / 2**20)
            latencies = tally.latencies_ms[seen:]
            seen += len(latencies)
            latency_ms.append(percentile(sorted(latencies), 0.99) or 0.0)
            held = " ".join(f"{name}={values[-1]:.0f}" for name, values in rss.items())
            print(
                f"{window + 1:3}/{WINDOWS} events={tally.events} p99={latency_ms[-1]:.0f} ms MiB: {held}",
                flush=True,
            )
    complaints = [] if is_whole(tally) else [f"not everything was taken: {tally.refusals}"]
    for name, values in rss.items():
        room = FILLING_MIB if name.startswith("sinks") else 0.0
        complaints += grown(
            f"memory of {name}, MiB", values, RSS_GROWTH, statistics.median(values[: WINDOWS // 2]) + room
        )
    complaints += grown("latency p99, ms", latency_ms, LATENCY_GROWTH, LATENCY_FLOOR_MS)
    expected = oracle.fold(acknowledged)
    proof.reconcile_all(stack, expected.days[-2:], wait_s=180)
    return complaints + proof.differences(expected, proof.lake_rows(stack))


def grown(what: str, values: list[float], factor: float, floor: float) -> list[str]:
    """Return a complaint when the last quarter of the values is more than `factor` times the second one."""
    quarter = len(values) // 4
    early, late = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
    print(f"{what}: {early:.1f} -> {late:.1f}")
    return [f"{what} grew from {early:.1f} to {late:.1f}"] if late > max(early * factor, floor) else []


if __name__ == "__main__":
    sys.exit(main())
