"""`watchtime partials --dt D`: writes the partial documents of a day. Exit 0 done, 2 not possible."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import orjson

from sinks.partials import write_partials
from sinks.progress import reporting
from sinks.rebuild_command import ERRORS, NOT_POSSIBLE
from sinks.reconcile_command import day
from sinks.reconcile_day import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--dt", type=day, required=True, metavar="YYYY-MM-DD", help="UTC day")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write one day's documents and print how many."""
    data_dir = Path(args.data_dir)
    folder = data_dir / "partials" / args.dt
    try:
        stack = Stack.of(data_dir, os.environ)
        with reporting(f"partials {args.dt}") as report:
            done = asyncio.run(write_partials(stack, args.dt, folder, report))
    except ERRORS as error:
        if args.json:
            sys.stdout.write(orjson.dumps({"dt": args.dt, "error": str(error)}).decode() + "\n")
        sys.stderr.write(f"partials {args.dt}: {error}\n")
        return NOT_POSSIBLE
    shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        sys.stdout.write(orjson.dumps(asdict(done)).decode() + "\n")
    else:
        sys.stdout.write(f"{args.dt}: {done.documents} documents, {len(done.written)} written, {done.events} events\n")
    return 0
