"""How much one gateway process takes, with the broker and the load generator (wrk) on the same machine.

Starts a broker and a gateway of its own in a temporary folder, posts through wrk, and prints per run and as medians:
POSTs and events a second, latency, and the CPU time that gateway and broker spend on an event.

    python -m tests.bench.gateway [--events 1 50] [--runs 5] [--seconds 8] [--connections 128] [--json]
    python -m tests.bench.gateway --against FOLDER [--public]

With `--against`, the gateway in another checkout takes turns with this one, run by run, on the same broker; the
ratio of each pair says what a change costs, also on a machine that does other things. With `--public`, this one
has everything on: tokens, limits per install, address and connection, and a viewer of the live page.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from gateway.keyring import Keyring, new_key
from gateway.tokens import sign
from streams.provision import provision
from tests.bench.machine import cpu_s, facts, sentence

ROOT = Path(__file__).parents[2]
LUA = Path(__file__).with_suffix(".lua")
STARTS_WITHIN_S = 20.0
VIEWER = "bench:bench"
#: Bodies that wrk sends in turn, each of another client.
BODIES = 400
FIGURES = ("posts_per_s", "events_per_s", "p50_ms", "p99_ms", "gateway_cpu_us_per_event", "broker_cpu_us_per_event")


def main() -> int:
    """Measure and print; exit 1 when a POST was not answered with 200."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1, 50], help="events in a POST")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="length of a run")
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout to compare with")
    parser.add_argument("--public", action="store_true", help="tokens, limits and a viewer on, with --against")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed (Debian: apt-get install wrk)")
    if args.against:
        return asyncio.run(compare(args))
    report = asyncio.run(measure(args))
    sys.stdout.write((json.dumps(report, indent=2) if args.json else table(report)) + "\n")
    return 1 if any(run["failed"] for result in report["results"] for run in result["runs"]) else 0


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured, and on which machine."""
    with tempfile.TemporaryDirectory(prefix="watchtime-bench-") as folder:
        broker = LocalBroker(Path(folder, "kafka"), Cache.from_env(os.environ))
        await broker.start()
        try:
            await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
            with running_gateway(broker.bootstrap_servers, Path(folder, "gateway.log")) as (url, process):
                processes = process, psutil.Process(broker.pid)
                run_wrk(url, processes, 50, 3, args.connections)  # warms up Java's compiler above all
                results = []
                for per_post in args.events:
                    runs = [run_wrk(url, processes, per_post, args.seconds, args.connections) for _ in range(args.runs)]
                    medians = {name: statistics.median(run[name] for run in runs) for name in FIGURES}
                    results.append({"events_per_post": per_post, "median": medians, "runs": runs})
        finally:
            broker.stop()
    return {"machine": facts(), "connections": args.connections, "seconds": args.seconds, "results": results}


async def compare(args: argparse.Namespace) -> int:
    """Print pairs of runs with the gateway of another checkout and this one's; exit 1 when a POST failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="watchtime-bench-") as folder:
        broker = LocalBroker(Path(folder, "kafka"), Cache.from_env(os.environ))
        await broker.start()
        try:
            await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
            other = running_gateway(broker.bootstrap_servers, Path(folder, "other.log"), args.against)
            public = make_public(Path(folder)) if args.public else {}
            this = running_gateway(broker.bootstrap_servers, Path(folder, "this.log"), environ=public)
            with other as (other_url, other_process), this as (url, process), viewing(url, looks=args.public):
                places = (other_url, other_process), (url, process)
                for at, running in places:
                    run_wrk(at, (running, psutil.Process(broker.pid)), 50, 3, args.connections)
                for per_post in args.events:
                    ratios, cpu = [], []
                    for number in range(args.runs):
                        runs = {}
                        for at, running in places if number % 2 else places[::-1]:
                            both = running, psutil.Process(broker.pid)
                            runs[at] = run_wrk(at, both, per_post, args.seconds, args.connections)
                            failed += runs[at]["failed"]
                        before, after = runs[other_url], runs[url]
                        ratios.append(after["events_per_s"] / before["events_per_s"])
                        cpu.append(after["gateway_cpu_us_per_event"] / before["gateway_cpu_us_per_event"])
                        told = f"{before['events_per_s']:,.0f} -> {after['events_per_s']:,.0f} events/s"
                        sys.stdout.write(f"{per_post} a POST: {told}, CPU per event x{cpu[-1]:.3f}\n")
                    medians = statistics.median(ratios), statistics.median(cpu)
                    sys.stdout.write(
                        f"{per_post} a POST: throughput x{medians[0]:.3f}, CPU x{medians[1]:.3f} (medians)\n"
                    )
                    sys.stdout.flush()
        finally:
            broker.stop()
    return 1 if failed else 0


def run_wrk(  # noqa: PLR0913, PLR0917 (plain figures)
    url: str,
    processes: tuple[psutil.Process, psutil.Process],
    per_post: int,
    seconds: int,
    connections: int,
    think_ms: int = 0,
) -> dict[str, Any]:
    """Post for some seconds and return the figures of this run."""
    before = [cpu_s(process) for process in processes]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(LUA), f"{url}/ingest", "--"]
    command += [str(per_post), str(think_ms)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - fixed command
    spent = [cpu_s(process) - start for process, start in zip(processes, before, strict=True)]
    wrk = json.loads(done.stdout.split("RESULT ", 1)[1])
    events = wrk["posts"] * per_post
    return {
        "posts_per_s": wrk["posts"] / wrk["seconds"],
        "events_per_s": events / wrk["seconds"],
        "p50_ms": wrk["p50_ms"],
        "p99_ms": wrk["p99_ms"],
        "max_ms": wrk["max_ms"],
        # On a machine that is very busy a second may bring no answer at all.
        "gateway_cpu_us_per_event": spent[0] * 1e6 / max(1, events),
        "broker_cpu_us_per_event": spent[1] * 1e6 / max(1, events),
        "failed": wrk["bad_answers"] + wrk["socket_errors"],
    }


def make_public(folder: Path) -> dict[str, str]:
    """Return the settings of a gateway with everything on, and leave tokens for wrk in the environment."""
    ring = Keyring([new_key(datetime.datetime.now(datetime.UTC))])
    (folder / "keys").write_text(ring.render())
    (folder / "viewers").write_text(f"{VIEWER}\n")
    expires_s = int(time.time()) + 86_400
    tokens = (sign(ring.signing, f"i-bench-{number}", expires_s) for number in range(BODIES))
    (folder / "tokens").write_text("".join(f"{token}\n" for token in tokens))
    os.environ["WATCHTIME_TOKENS"] = str(folder / "tokens")
    most = "1000000"
    return {
        "GATEWAY_AUTH": "on",
        "GATEWAY_ENROLL": "open",
        "GATEWAY_KEYS_FILE": str(folder / "keys"),
        "GATEWAY_VIEWERS_FILE": str(folder / "viewers"),
        **{f"GATEWAY_{name}": most for name in ("INSTALL_RATE", "INSTALL_BURST", "ADDRESS_RATE", "ADDRESS_BURST")},
        "GATEWAY_CONNECTIONS_PER_ADDRESS": most,
    }


@contextmanager
def viewing(url: str, *, looks: bool) -> Iterator[None]:
    """Look at the live page meanwhile."""
    if not looks:
        yield
        return
    command = ["curl", "-sN", "-u", VIEWER, f"{url}/live"]
    viewer = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed command
    yield
    viewer.terminate()
    viewer.wait()


@contextmanager
def running_gateway(
    bootstrap_servers: str, log: Path, root: Path = ROOT, *, environ: dict[str, str] | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    """Run a gateway on a free port; yields its URL and process once it has found the broker."""
    environ = {
        **os.environ,
        **(environ or {}),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": "0",
        "GATEWAY_METRICS_PORT": "0",
    }
    with log.open("wb") as out:
        process = psutil.Popen([sys.executable, "-m", "gateway"], cwd=root, env=environ, stderr=out)
    try:
        port = wait_for(log, "listening")["port"]
        wait_for(log, "broker reached")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def wait_for(log: Path, event: str) -> dict[str, Any]:
    """Return the first log line of an event."""
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (entry := json.loads(line)).get("event") == event:
                return dict(entry)
        time.sleep(0.05)
    raise TimeoutError(f"no {event!r} in the gateway's log:\n{log.read_text()}")


def table(report: dict[str, Any]) -> str:
    """Return the report for people: medians, with the extremes of the runs in brackets."""
    lines = [f"{sentence(report['machine'])}, {report['connections']} connections, runs of {report['seconds']} s"]
    for result in report["results"]:
        runs = result["runs"]
        lines.append(f"{result['events_per_post']} event(s) a POST, median of {len(runs)}:")
        for name in FIGURES:
            values = [run[name] for run in runs]
            lines.append(f"  {name:26} {result['median'][name]:12,.1f}   ({min(values):,.1f} … {max(values):,.1f})")
        lines.append(f"  {'failed':26} {sum(run['failed'] for run in runs):12,}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
