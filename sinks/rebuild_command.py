"""`watchtime rebuild --dt D`: writes the files of a day from raw objects. Exit 0 done, 1 not wanted, 2 not possible."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from sinks.precedence import LakeMismatchError
from sinks.progress import agreed, reporting
from sinks.rebuild import NothingCountedError, Rebuild, Rebuilt, Wish
from sinks.rebuild_count import BusyError
from sinks.rebuild_files import ChangedMeanwhileError, NoOriginError
from sinks.rebuild_guard import OpenDayError
from sinks.rebuild_part import Reading
from sinks.rebuild_shape import default_shape
from sinks.rebuild_sources import NoSourceError
from sinks.reconcile_command import UNTOLD_ERRORS, day, difference_line
from sinks.reconcile_day import Stack

DONE: Final = 0
NOT_WANTED: Final = 1
NOT_POSSIBLE: Final = 2
ERRORS: Final = (
    *UNTOLD_ERRORS,
    BusyError,
    ChangedMeanwhileError,
    LakeMismatchError,
    NoOriginError,
    NoSourceError,
    NothingCountedError,
    OpenDayError,
)
#: Differing rows that are printed.
_SHOWN: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--dt", type=day, required=True, metavar="YYYY-MM-DD", help="UTC day to rebuild")
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="URL",
        help="another lake, or the bucket or folder of the pipeline before this one, that holds raw/YYYY/MM/DD/ "
        "(s3://… or file:///…; may be given again)",
    )
    parser.add_argument("--dedupe", action="store_true", help="count repeats in the objects of that pipeline once")
    parser.add_argument(
        "--strict-reference",
        action="store_true",
        help="read those objects as that pipeline did: one object a line, lines split at every Unicode line break",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object; asks nothing")


def run(args: argparse.Namespace) -> int:
    """Rebuild one day and print what was done."""
    try:
        rebuilt = _rebuild(args)
    except ERRORS as error:
        if args.json:
            sys.stdout.write(orjson.dumps({"dt": args.dt, "error": str(error)}).decode() + "\n")
        sys.stderr.write(f"rebuild {args.dt}: {error}\n")
        return NOT_POSSIBLE
    if args.json:
        sys.stdout.write(orjson.dumps(asdict(rebuilt)).decode() + "\n")
    elif not rebuilt.outdated:
        sys.stdout.write(f"{args.dt}: {rebuilt.events} events, the files say just that; nothing is to be written\n")
    elif rebuilt.written:
        sys.stdout.write(f"wrote {len(rebuilt.written)} files; the topics stay as they are\n")
    return DONE if len(rebuilt.written) == len(rebuilt.outdated) else NOT_WANTED


def _rebuild(args: argparse.Namespace) -> Rebuilt:
    data_dir = Path(args.data_dir)
    wish = Wish(
        dt=args.dt,
        sources=args.sources,
        reading=Reading(strict=args.strict_reference, dedupe=args.dedupe),
        folder=data_dir / "rebuild" / args.dt,
        default_shape=default_shape(data_dir, os.environ),
    )
    work = Rebuild(Stack.of(data_dir, os.environ), wish)
    with reporting(f"rebuild {args.dt}") as report:
        rebuilt = asyncio.run(work.prepare(report))
    if rebuilt.outdated and not args.json:
        sys.stdout.write(render(rebuilt))
    if rebuilt.outdated and (args.yes or (not args.json and agreed("write them?"))):
        with reporting(f"rebuild {args.dt}") as report:
            asyncio.run(work.write(report))
    work.discard()
    return rebuilt


def render(rebuilt: Rebuilt) -> str:
    """Return what would be done, as lines for a person."""
    lines = [
        f"{rebuilt.dt}: {rebuilt.events} events, {rebuilt.objects} raw objects read, {rebuilt.rows} rows counted",
        f"{rebuilt.differing} rows are not so in the files",
        *(difference_line(difference) for difference in rebuilt.differences[:_SHOWN]),
    ]
    if rebuilt.differing > _SHOWN:
        lines.append(f"… and {rebuilt.differing - _SHOWN} more rows")
    if rebuilt.counted_again or rebuilt.dropped:
        lines.append(
            f"beyond the window of repeats: {rebuilt.counted_again} repeats counted again, "
            f"{rebuilt.dropped} late first deliveries dropped (as the stream did)"
        )
    lines += [f"beside these files, queries also read {key}: is it meant to be there?" for key in rebuilt.strangers]
    lines.append(f"{len(rebuilt.outdated)} files are to be written:")
    lines += [f"  {key}" for key in rebuilt.outdated]
    lines.append(
        "they keep their place in the topics: sinks go on from there"
        if rebuilt.young
        else "they are marked as rebuilt, and sinks never overwrite them; the topics stay as they are"
    )
    return "\n".join(lines) + "\n"
