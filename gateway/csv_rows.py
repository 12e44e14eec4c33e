"""Rows as CSV (RFC 4180) that a spreadsheet cannot mistake for formulas. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

#: A cell that begins with one of these may be run by a spreadsheet; quotes around it do not help.
_RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """Return rows under a line of column names."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """Return a value as it may stand in a cell: a text that could be run gets an apostrophe in front."""
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_RUNS):
        return f"'{value}"
    return value
