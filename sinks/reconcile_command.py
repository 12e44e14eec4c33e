"""`watchtime reconcile`: does the lake say what the raw archive says? Exit 0 yes, 1 no, 2 it cannot be told.

One day with --dt, or every day of a range with --from and --to: then each raw object is read once for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import sys
import traceback
from concurrent.futures import BrokenExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
from aiokafka.errors import KafkaError

from sinks.lake import NoStackError
from sinks.layout import LayoutError
from sinks.line_columns import UnreadableLineError
from sinks.provenance import ElsewhereError, ForeignObjectError
from sinks.raw_days import RawHoleError
from sinks.rebuild_lines import BrokenObjectError
from sinks.reconcile_day import Finding, Stack
from sinks.reconcile_pass import Outcome, Untold
from sinks.reconcile_progress import Progress, progress
from sinks.reconcile_range import reconcile, reconcile_days
from sinks.reconcile_settle import NotSettledError
from sinks.store import StoreError
from streams.contract.days import shift_dt
from streams.topic_id import TopicIdError

NO_DRIFT: Final = 0
DRIFT: Final = 1
UNTOLD: Final = 2
#: Why it cannot be told whether a day is right: none of these means drift.
UNTOLD_ERRORS: Final = (
    BrokenExecutor,
    BrokenObjectError,
    ElsewhereError,
    ForeignObjectError,
    KafkaError,
    LayoutError,
    NoStackError,
    NotSettledError,
    # A full disk, above all.
    OSError,
    RawHoleError,
    StoreError,
    TopicIdError,
    UnreadableLineError,
    duckdb.Error,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--dt", type=day, metavar="YYYY-MM-DD", help="UTC day to compare")
    which.add_argument("--from", type=day, dest="first", metavar="YYYY-MM-DD", help="first day of a range to compare")
    parser.add_argument("--to", type=day, dest="last", metavar="YYYY-MM-DD", help="last day of the range (today)")
    parser.add_argument("--wait", type=float, default=60.0, metavar="S", help="seconds to wait for the stages (60)")
    parser.add_argument("--json", action="store_true", help="print what was found as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Reconcile and print what was found."""
    try:
        return _run_day(args) if args.dt else _run_range(args)
    except BrokenPipeError:
        raise  # nobody reads on: no fault of the days
    except Exception:  # noqa: BLE001 - what nobody foresaw ends a program with 1, which says drift here
        sys.stderr.write(traceback.format_exc())
        return UNTOLD


def find(data_dir: Path, dt: str, wait_s: float) -> Finding:
    """Reconcile one day of the stack in a data folder, with progress on standard error."""
    stack = Stack.of(data_dir, os.environ)
    with progress(f"reconcile {dt}") as shown:
        return asyncio.run(reconcile(stack, dt, wait_s, shown.report))


def _run_day(args: argparse.Namespace) -> int:
    if args.last:
        return _refuse(args.json, args.dt, "--to belongs to --from: give either --dt, or --from and --to")
    try:
        finding = find(Path(args.data_dir), args.dt, args.wait)
    except UNTOLD_ERRORS as error:
        return _refuse(args.json, args.dt, str(error))
    sys.stdout.write(orjson.dumps(finding.to_dict()).decode() + "\n" if args.json else render(finding))
    return DRIFT if finding.drift else NO_DRIFT


def _refuse(as_json: bool, dt: str, why: str) -> int:  # noqa: FBT001 - as it was asked for
    if as_json:
        sys.stdout.write(orjson.dumps({"dt": dt, "error": why}).decode() + "\n")
    sys.stderr.write(f"reconcile {dt}: {why}\n")
    return UNTOLD


def _run_range(args: argparse.Namespace) -> int:
    first, last = args.first, args.last or datetime.datetime.now(datetime.UTC).date().isoformat()
    title = f"{first} to {last}"
    if first > last:
        return _refuse(args.json, title, "the first day is after the last one")
    days = [first]
    while days[-1] < last:
        days.append(shift_dt(days[-1], 1))
    found: list[Outcome] = []
    why: dict[str, str] = {}
    try:
        stack = Stack.of(Path(args.data_dir), os.environ)
        with progress(f"reconcile {title}") as shown:
            asyncio.run(_each(stack, days, args, shown, found))
    except BrokenPipeError:
        raise  # nobody reads on: no fault of the days
    except UNTOLD_ERRORS as error:
        why["error"] = str(error)
        sys.stderr.write(f"reconcile {title}: {error}\n")
        # What was told before stays told.
        found += [Untold(dt=dt, why=error) for dt in days if dt not in {outcome.dt for outcome in found}]
    total = summary(found)
    if args.json:
        in_order = sorted(found, key=lambda outcome: outcome.dt)
        days_told = [_told(outcome) for outcome in in_order]
        sys.stdout.write(orjson.dumps({"from": first, "to": last, **total, "days": days_told, **why}).decode() + "\n")
    else:
        told = (f"{name}={'unknown' if count is None else count}" for name, count in total.items())
        sys.stdout.write(f"total {' '.join(told)}\n")
    return UNTOLD if why or total["untold"] else DRIFT if total["drift"] else NO_DRIFT


async def _each(stack: Stack, days: list[str], args: argparse.Namespace, shown: Progress, found: list[Outcome]) -> None:
    async with aclosing(reconcile_days(stack, days, args.wait, shown.report, shown.advance)) as outcomes:
        async for outcome in outcomes:
            found.append(outcome)
            if args.json:
                continue
            if isinstance(outcome, Untold):
                shown.say(f"{outcome.dt} cannot be told: {outcome.why}\n")
            else:
                shown.say(render(outcome.finding))


def summary(outcomes: list[Outcome]) -> dict[str, int | None]:
    """Return the sums over the days of a range; days that cannot be told are counted apart. Drift of none: None."""
    told = [outcome.finding for outcome in outcomes if not isinstance(outcome, Untold)]
    return {
        "drift": sum(finding.drift for finding in told) if told else None,
        "days": len(outcomes),
        "untold": len(outcomes) - len(told),
        "rows": sum(finding.rows for finding in told),
        "events": sum(finding.events for finding in told),
    }


def _told(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Untold):
        return {"dt": outcome.dt, "error": str(outcome.why)}
    return outcome.finding.to_dict()


def render(finding: Finding) -> str:
    """Return the finding as lines for a person."""
    lines = [
        f"{finding.dt} drift={finding.drift} rows={finding.rows} events={finding.events} raw_objects={finding.chunks}",
    ]
    if finding.counted_again or finding.dropped:
        lines.append(
            f"beyond the window of repeats: {finding.counted_again} repeats counted again, "
            f"{finding.dropped} late first deliveries dropped (as the window says; no drift)",
        )
    lines.extend(difference_line(difference) for difference in finding.differences)
    if len(finding.differences) < finding.drift:
        lines.append(f"… and {finding.drift - len(finding.differences)} more rows")
    return "\n".join(lines) + "\n"


def difference_line(difference: dict[str, Any]) -> str:
    """Return one difference as a line for a person."""
    where = f"  {difference['table']} {difference['id']!r}"
    if "error" in difference:
        return f"{where}: {difference['error']}"
    expected, file = difference["expected"], difference["file"]
    if expected is None:
        return f"{where}: in the file, but no event says so: {file}"
    if file is None:
        return f"{where}: missing in the file, or there twice; counted: {expected}"
    cells = (f"{name} {file[name]!r} instead of {value!r}" for name, value in expected.items() if file[name] != value)
    return f"{where}: {', '.join(cells)}"


def day(text: str) -> str:
    """Return a day of the command line."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: give YYYY-MM-DD") from None
