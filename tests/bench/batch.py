"""Part `batch`: a day's raw objects to its totals, by rebuild and reconcile, and by others from plain NDJSON.

    python -m tests.bench --only batch

Ours read compressed objects, drop repeats exactly and write files, or compare them; the others read the same lines from
one uncompressed file and group them by video and channel. Seconds are those of the whole command.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isal import igzip

from tests.bench import batch_data, commands
from tests.bench.peers.homes import FOLDER
from tests.bench.report import Part, Plan, Run, mark, median, number, table

EVENTS, CLIENTS = 2_000_000, 10_000
#: Beside which the ratios stand.
BASE = "DuckDB group-by, 2 threads"
FIGURES = ("events_per_s", "cpu_us_per_event", "rss_mb", "others")


async def measure(plan: Plan) -> Part:
    """Return events a second, CPU time and memory."""
    events = plan.events(EVENTS)
    lake, lines = plan.folder / "batch-lake", plan.folder / "batch.ndjson"
    plan.say(f"writing raw objects of {events:,} events")
    first = await asyncio.to_thread(batch_data.fill, lake, events, min(CLIENTS, events // 100))
    size = await asyncio.to_thread(_decompress, lake, lines)
    part = Part(title=f"A day of {events:,} events counted ({size / events:,.0f} bytes each, {first:,} no repeats)")
    runs: dict[str, list[Run]] = {}
    for number_of_run in range(plan.runs):
        for name, run in _candidates(lake, lines, first).items():
            plan.say(f"run {number_of_run + 1}: {name}")
            figures = await asyncio.to_thread(run)
            runs.setdefault(name, []).append(_rates(figures, events))
    part.figures = {name: {"runs": found, **{f: median(found, f) for f in FIGURES}} for name, found in runs.items()}
    base = part.figures[BASE]["events_per_s"]
    for figures in part.figures.values():
        figures["ratio"] = figures["events_per_s"] / base
    body = [
        [
            f"**Watchtime {name}**" if name in {"rebuild", "reconcile"} else name,
            number(part.figures[name]["events_per_s"]) + mark(found),
            number(part.figures[name]["ratio"], 2),
            number(part.figures[name]["cpu_us_per_event"], 2),
            number(part.figures[name]["rss_mb"]),
        ]
        for name, found in runs.items()
    ]
    part.markdown += table(["", "events/s", f"to {BASE}", "CPU µs an event", "memory MiB"], body)
    return part


def _candidates(lake: Path, lines: Path, first: int) -> dict[str, Callable[[], dict[str, float]]]:
    duckdb, reference = str(FOLDER / "duckdb_totals.py"), str(FOLDER / "reference_processor.py")
    return {
        "rebuild": lambda: _rebuild(lake, first),
        "reconcile": lambda: _reconcile(lake, first),
        "DuckDB group-by, 1 thread": lambda: commands.run([sys.executable, duckdb, str(lines), "1"])[0],
        BASE: lambda: commands.run([sys.executable, duckdb, str(lines), "2"])[0],
        "the processor before us": lambda: commands.run([sys.executable, reference, str(lines)])[0],
    }


def _rebuild(lake: Path, first: int) -> dict[str, float]:
    """Rebuild the day from nothing but its raw objects."""
    shutil.rmtree(lake / "analytics", ignore_errors=True)
    data_dir = ["--data-dir", str(lake.parent / "batch-data")]
    command = [sys.executable, "-m", "deploy.cli", "rebuild", "--dt", batch_data.DT, "--yes", "--json", *data_dir]
    figures, told = commands.run(command, {"SINKS_LAKE": lake.as_uri(), "SINKS_FORMAT": "parquet"})
    _check(told, first)
    return figures


def _reconcile(lake: Path, first: int) -> dict[str, float]:
    """Compare the day that the rebuild has written."""
    figures, told = commands.run([sys.executable, "-m", "tests.bench.reconcile_once", lake.as_uri(), batch_data.DT])
    _check(told, first)
    if told["drift"]:
        raise commands.CommandError(f"the rebuilt day differs from its raw objects: {told}")
    return figures


def _check(told: dict[str, Any], first: int) -> None:
    if told["events"] != first:
        raise commands.CommandError(f"{told['events']} events were counted, {first} are no repeats")


def _rates(figures: dict[str, float], events: int) -> dict[str, float]:
    rates = {"events_per_s": events / figures["seconds"], "cpu_us_per_event": figures["cpu_s"] / events * 1e6}
    return {**rates, "rss_mb": figures["rss_mb"], "others": figures["others"]}


def _decompress(lake: Path, lines: Path) -> int:
    """Write the lines of all objects to one file; return its bytes."""
    with lines.open("wb") as file:
        for path in sorted((lake / "raw").rglob("*.gz")):
            file.write(igzip.decompress(path.read_bytes()))
        return file.tell()
