"""Query results as a table, JSON or CSV, in which no data can steer a terminal or a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any, Final, TextIO

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.contract.cells import cell
from streams.contract.event import INT64_MAX, INT64_MIN

#: Rows that a table for people shows.
SHOWN_ROWS: Final = 200
#: Columns of a table that goes to a file or a pipe.
FILE_WIDTH: Final = 160
_NUMBERS: Final = ("INT", "DOUBLE", "FLOAT", "DECIMAL")


def show(names: list[str], types: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Print rows as a table, the first ones when there are many, and how many there are."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(to_table(names, types, rows[:SHOWN_ROWS]))
    rest = f", of which {SHOWN_ROWS} are shown (--json and --csv give all)" if len(rows) > SHOWN_ROWS else ""
    console.print(f"{len(rows):,} rows{rest}")


def to_json(names: list[str], rows: Iterable[tuple[Any, ...]]) -> str:
    """Return rows as a JSON array of objects; what JSON has no type for becomes text."""
    objects = [dict(zip(names, map(_json_cell, row), strict=True)) for row in rows]
    return orjson.dumps(objects, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n"


def _json_cell(value: object) -> object:
    """Return a value whose integers beyond 64 bits, which few readers of JSON take, are text."""
    if isinstance(value, list | tuple):
        return [_json_cell(one) for one in value]
    if isinstance(value, dict):
        return {name: _json_cell(one) for name, one in value.items()}
    return str(value) if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX else value


def write_csv(file: TextIO, names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows as CSV (RFC 4180); text that a spreadsheet would run as a formula gets an apostrophe in front."""
    writer = csv.writer(file)
    writer.writerow(names)
    for row in rows:
        writer.writerow(map(cell, row))


def to_table(names: list[str], types: list[str], rows: list[tuple[Any, ...]]) -> Table:
    """Return rows as a table for people: numbers to the right, control characters made visible."""
    table = Table()
    numeric = [any(kind in text.upper() for kind in _NUMBERS) for text in types]
    for name, is_number in zip(names, numeric, strict=True):
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(value), style="dim" if value is None else "") for value in row))
    return table


def visible(value: object) -> str:
    """Return a cell as text that cannot steer a terminal."""
    if value is None:
        return "null"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    # Marks that turn the direction of what follows are not printable either; \u200d joins parts of an emoji.
    return "".join(
        one if one.isprintable() or one == "\u200d" else one.encode("unicode_escape").decode() for one in str(value)
    )
