"""`watchtime reconcile --dt D`: does the lake say what the raw archive says? Exit 0 yes, 1 no, 2 it cannot be told."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka.errors import KafkaError
from rich.console import Console

from sinks.lake import NoStackError
from sinks.provenance import ForeignObjectError
from sinks.raw_days import RawHoleError
from sinks.reconcile_day import Finding, Report, Stack, reconcile
from sinks.reconcile_lines import UnreadableLineError
from sinks.reconcile_settle import NotSettledError
from sinks.store import StoreError
from streams.topic_id import TopicIdError

NO_DRIFT: Final = 0
DRIFT: Final = 1
UNTOLD: Final = 2
_PLAIN_LINE_S: Final = 5.0
#: Why it cannot be told whether a day is right.
UNTOLD_ERRORS: Final = (
    ForeignObjectError,
    KafkaError,
    NoStackError,
    NotSettledError,
    RawHoleError,
    StoreError,
    TopicIdError,
    UnreadableLineError,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--dt", type=_day, required=True, metavar="YYYY-MM-DD", help="UTC day to compare")
    parser.add_argument("--wait", type=float, default=60.0, metavar="S", help="seconds to wait for the stages (60)")
    parser.add_argument("--json", action="store_true", help="print the finding as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Reconcile one day and print what was found."""
    try:
        finding = find(Path(args.data_dir), args.dt, args.wait)
    except UNTOLD_ERRORS as error:
        if args.json:
            sys.stdout.write(orjson.dumps({"dt": args.dt, "error": str(error)}).decode() + "\n")
        sys.stderr.write(f"reconcile {args.dt}: {error}\n")
        return UNTOLD
    if args.json:
        sys.stdout.write(orjson.dumps(finding.to_dict()).decode() + "\n")
    else:
        sys.stdout.write(render(finding))
    return DRIFT if finding.drift else NO_DRIFT


def find(data_dir: Path, dt: str, wait_s: float) -> Finding:
    """Reconcile one day of the stack in a data folder, with progress on standard error."""
    stack = Stack.of(data_dir, os.environ)
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"reconcile {dt}") as status:
            return asyncio.run(reconcile(stack, dt, wait_s, lambda text: status.update(f"reconcile {dt}: {text}")))
    return asyncio.run(reconcile(stack, dt, wait_s, _plain_report(dt)))


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


def _plain_report(dt: str) -> Report:
    """Return a report that writes a line now and then, for logs."""
    last = time.monotonic()

    def report(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_LINE_S:
            last = time.monotonic()
            sys.stderr.write(f"reconcile {dt}: {text}\n")

    return report


def _day(text: str) -> str:
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: give YYYY-MM-DD") from None
