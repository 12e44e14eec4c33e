"""Cells of a table that people open in a spreadsheet. Pure."""

from __future__ import annotations

from typing import Final

#: A cell that begins with one of these may be run by a spreadsheet; quotes around it do not help.
_RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> object:
    """Return a value as it may stand in a cell: a text that could be run gets an apostrophe in front."""
    if isinstance(value, str) and value.lstrip(" \u00a0").startswith(_RUNS):
        return f"'{value}"
    return value
