"""`watchtime athena plan | apply | query | picture`: the lake on Athena."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import duckdb
import orjson
from botocore.exceptions import BotoCoreError, ClientError

from athena.athena import Athena, AthenaError
from athena.dashboard import DashboardError, numbers, read
from athena.local import connect
from athena.picture import svg
from athena.query_command import add_question_arguments, ask, asked, listing, print_rows
from athena.questions import QuestionError, day_of, today
from athena.rereading import UnreadableLakeError
from athena.target import Target, TargetError, tables, views, workgroup_configuration
from sinks.keys import ANALYTICS, FORMATS
from sinks.lake import Lake, NoStackError, lake_of
from sinks.store import StoreError
from streams.contract.rows import INGEST

#: Dollars for a terabyte read, in most regions.
PRICE_PER_TB: Final = 5.0
_REFUSALS: Final = (
    AthenaError,
    TargetError,
    QuestionError,
    DashboardError,
    UnreadableLakeError,
    NoStackError,
    StoreError,
    BotoCoreError,
    ClientError,
    duckdb.Error,
)
_DAY_FOLDER: Final = re.compile(r"dt=(\d{4}-\d{2}-\d{2})/?$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done, and the options of each."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    plan = actions.add_parser("plan", help="print everything that apply would make; makes nothing")
    apply = actions.add_parser("apply", help="make or update workgroup, database, tables and views")
    query = actions.add_parser("query", help="run a query and print rows and cost")
    picture = actions.add_parser("picture", help="draw the QuickSight dashboard from this lake, as SVG")
    picture.add_argument("--sheet", default="Watching", help="default: %(default)s")
    picture.add_argument("--out", type=Path, default=Path("dashboard.svg"), help="default: %(default)s")
    picture.add_argument("--to", metavar="DAY", help="last day (default: today in UTC)")
    for one in (plan, apply, query):
        one.add_argument("--lake", metavar="URL", help="s3://bucket[/prefix] (default: SINKS_LAKE)")
        one.add_argument("--database", default="watchtime", help="default: %(default)s")
        one.add_argument("--workgroup", default="watchtime", help="default: %(default)s")
    for one in (plan, apply):
        one.add_argument("--format", choices=FORMATS, default=os.environ.get("SINKS_FORMAT") or "parquet")
        one.add_argument("--first-day", metavar="DAY", help="first day with data (default: the lake is asked)")
        one.add_argument("--last-day", default="NOW", help="NOW+1DAYS where days are local ones (default: %(default)s)")
        one.add_argument("--results", default="", metavar="URL", help="where results go (default: in the lake)")
        one.add_argument("--results-key", default="", metavar="ARN", help="KMS key of results (default: S3's own)")
        one.add_argument("--reference", default="", metavar="URL", help="bucket of the replaced pipeline")
        one.add_argument("--scan-limit-gb", type=float, default=100.0, help="what one query may read (default: 100)")
    query.add_argument("sql", metavar="SQL", nargs="?", help="a query; - reads it from standard input")
    add_question_arguments(query)
    query.add_argument("--price", type=float, default=PRICE_PER_TB, help="dollars a TB (default: %(default)s)")
    form = query.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON array of objects")
    form.add_argument("--csv", action="store_true", help="print CSV with a header line")


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 when a choice, AWS or the lake refuses."""
    try:
        if args.action == "plan":
            sys.stdout.write(plan(target_of(args, os.environ)))
        elif args.action == "apply":
            for line in Athena(target_of(args, os.environ), boto3.Session()).apply():
                print(line, flush=True)  # noqa: T201 - the command's voice
        elif args.action == "picture":
            _picture(args)
        else:
            _query(args)
    except _REFUSALS as error:
        sys.stderr.write(f"athena: {error}\n")
        return 1
    return 0


def target_of(args: argparse.Namespace, environ: Mapping[str, str]) -> Target:
    """Return the target that a command line means."""
    url = (args.lake or environ.get("SINKS_LAKE", "")).rstrip("/")
    if not url:
        raise TargetError("no lake: name it by --lake s3://bucket, or set SINKS_LAKE")
    chosen: dict[str, Any] = {"lake": url, "database": args.database, "workgroup": args.workgroup}
    if args.action == "query":
        # Only the place of the query matters; nothing is made.
        return Target(**chosen, first_day="2000-01-01")
    return Target(
        **chosen,
        format=args.format,
        first_day=args.first_day or first_day_in(url, environ),
        last_day=args.last_day,
        results=args.results,
        results_key=args.results_key,
        reference=args.reference.rstrip("/"),
        scan_limit=int(args.scan_limit_gb * 1_000_000_000),
    )


def first_day_in(url: str, environ: Mapping[str, str]) -> str:
    """Return the first day that has a file in the lake; every day with an event has one in this table."""
    prefix = f"{ANALYTICS}{INGEST.name}/"
    folders = asyncio.run(Lake(url=url, s3_endpoint=environ.get("SINKS_S3_ENDPOINT", "")).store().folders(prefix))
    days = sorted(match[1] for folder in folders if (match := _DAY_FOLDER.search(folder)))
    if not days:
        raise TargetError(f"no day has a file in {url} yet; name the first one by --first-day")
    return days[0]


def plan(target: Target) -> str:
    """Return everything that `apply` makes, as text that can be read, kept and pasted."""
    configuration = orjson.dumps(workgroup_configuration(target), option=orjson.OPT_INDENT_2).decode()
    parts = [
        f"-- workgroup {target.workgroup}\n" + "".join(f"--   {line}\n" for line in configuration.splitlines()),
        f"CREATE DATABASE IF NOT EXISTS {target.database};\n",
        *(f"{one.text};\n" for one in tables(target)),
        *(f"{one.text};\n" for one in views()),
    ]
    return "\n".join(parts)


def _picture(args: argparse.Namespace) -> None:
    dashboard = read()
    if args.sheet not in dashboard.sheets:
        raise DashboardError(f"there is no sheet {args.sheet}; there are {', '.join(dashboard.sheets)}")
    last = day_of(args.to or today())
    with connect(lake_of(Path(args.data_dir), os.environ)) as connection:
        picture = svg(
            f"Watchtime: {args.sheet}",
            dashboard.sheets[args.sheet],
            lambda visual: numbers(dashboard, visual, lambda text: ask(connection, text)[2], last),
        )
    args.out.write_text(picture)
    print(f"wrote {args.out}")  # noqa: T201 - the command's voice


def _query(args: argparse.Namespace) -> None:
    if args.list:
        sys.stdout.write(listing())
        return
    answer = Athena(target_of(args, os.environ), boto3.Session()).ask(asked(args))
    print_rows(answer.names, answer.types, answer.rows, as_json=args.json, as_csv=args.csv)
    # To the side, so that the rows can be piped.
    sys.stderr.write(f"{answer.cost.line(args.price)}\n")
