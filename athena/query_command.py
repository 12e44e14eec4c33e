"""`watchtime query "SQL"`: the lake's tables in DuckDB; a table or a chart for people, JSON or CSV for programs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import duckdb

from athena.chart import ChartError, bars
from athena.local import connect
from athena.output import show, to_json, write_csv
from athena.questions import PARAMETERS, QuestionError, question, questions, today
from athena.rereading import UnreadableLakeError, reread
from sinks.lake import NoStackError, lake_of
from streams.contract.rows import TABLES

#: Drawn when nothing is known of the terminal.
_FALLBACK_SIZE: Final = (100, 40)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    tables = ", ".join(table.name for table in TABLES)
    parser.add_argument(
        "sql", metavar="SQL", nargs="?", help=f"a query over {tables} and raw; - reads it from standard input"
    )
    add_question_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON array of objects")
    form.add_argument("--csv", action="store_true", help="print CSV with a header line")
    form.add_argument(
        "--chart",
        nargs="?",
        const="",
        metavar="COLUMN[,COLUMN]",
        help="draw bars instead of a table: of these columns, or of the first that measures something",
    )


def add_question_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a ready-made query is chosen and asked."""
    parser.add_argument("--ask", metavar="NAME", help="a ready-made query instead of SQL (see --list)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for the ready-made query: " + "; ".join(f"{name}: {what}" for name, what in PARAMETERS.items()),
    )
    parser.add_argument("--list", action="store_true", help="list the ready-made queries and what they answer")


def run(args: argparse.Namespace) -> int:
    """Run one query and print its result; 1 when the query or the lake fails."""
    if args.list:
        sys.stdout.write(listing())
        return 0
    try:
        statement = asked(args)
        connection = connect(lake_of(Path(args.data_dir), os.environ))
        with connection:
            names, types, rows = ask(connection, statement)
        if args.chart is not None:
            columns = [name for name in args.chart.split(",") if name]
            width = shutil.get_terminal_size(_FALLBACK_SIZE).columns
            print("\n".join(bars(names, rows, columns, width)))  # noqa: T201 - the command's voice
            return 0
    except (duckdb.Error, UnreadableLakeError, NoStackError, QuestionError, ChartError) as error:
        sys.stderr.write(f"query: {error}\n")
        return 1
    print_rows(names, types, rows, as_json=args.json, as_csv=args.csv)
    return 0


def asked(args: argparse.Namespace) -> str:
    """Return the statement that a command line asks for."""
    if (args.sql is None) == (args.ask is None):
        raise QuestionError("give either a query or --ask NAME (--list shows the names)")
    if args.ask is not None:
        return question(args.ask).sql(_values(args.set), today=today())
    if args.set:
        raise QuestionError("--set is for ready-made queries (--ask NAME)")
    return sys.stdin.read() if args.sql == "-" else str(args.sql)


def listing() -> str:
    """Return the ready-made queries as text."""
    lines = []
    for one in questions().values():
        lines.append(f"{one.name} ({', '.join(one.parameters)})")
        lines.append(f"    {one.about}")
    return "\n".join(lines) + "\n"


def print_rows(names: list[str], types: list[str], rows: list[tuple[Any, ...]], *, as_json: bool, as_csv: bool) -> None:
    """Print a result in the form that was asked for."""
    if as_json:
        sys.stdout.write(to_json(names, rows))
    elif as_csv:
        write_csv(sys.stdout, names, rows)
    else:
        show(names, types, rows)


def ask(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
    """Return column names, their types, and the rows of a statement; all empty when it gives no result."""

    def answer() -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
        cursor = connection.execute(statement)
        described = cursor.description or []
        return [entry[0] for entry in described], [str(entry[1]) for entry in described], cursor.fetchall()

    return reread(answer)


def _values(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise QuestionError(f"--set {pair}: write NAME=VALUE")
        values[name] = value
    return values
