"""Rows as bars in a terminal: one line a row, the numbers of one or more columns end to end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from athena.output import visible

#: One filling for each column that is drawn; no colour is needed to tell them apart.
FILLINGS: Final = ("█", "▒", "░")
#: Left of a bar's last whole cell: eighths of one.
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_LONGEST_LABEL: Final = 32
_LABEL_COLUMNS: Final = 3
_SHORTEST_BAR: Final = 10


class ChartError(Exception):
    """The rows have no column that can be drawn, or not the one that was named."""


def bars(names: Sequence[str], rows: Sequence[Sequence[Any]], columns: Sequence[str], width: int) -> list[str]:
    """Return the lines of a chart that fits `width` cells; without `columns`, the first column of numbers is drawn."""
    drawn = _drawn(names, rows, columns)
    # What stands before the first number that measures something says which row it is.
    first = min(at for at in range(len(names)) if at in drawn or _is_measure(rows, at))
    labels = [" ".join(visible(cell) for cell in row[: min(first, _LABEL_COLUMNS)]) for row in rows]
    label_width = min(max(map(cell_len, labels), default=0), _LONGEST_LABEL)
    totals = [sum(_number(row[at]) for at in drawn) for row in rows]
    digits = 0 if all(total == int(total) for total in totals) else 2
    figures = [f"{total:,.{digits}f}" for total in totals]
    figure_width = max(map(len, figures), default=0)
    room = max(width - label_width - figure_width - 3, _SHORTEST_BAR)
    most = max(totals, default=0) or 1
    lines = []
    for row, label, figure in zip(rows, labels, figures, strict=True):
        bar = _bar([_number(row[at]) / most * room for at in drawn])
        lines.append(f"{_cut(label, label_width)} {figure:>{figure_width}} {bar}".rstrip())
    legend = "   ".join(f"{FILLINGS[place]} {visible(names[at])}" for place, at in enumerate(drawn))
    return [*lines, f"{' ' * (label_width + figure_width + 2)}{legend}"]


def _drawn(names: Sequence[str], rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> list[int]:
    if len(columns) > len(FILLINGS):
        raise ChartError(f"a chart draws up to {len(FILLINGS)} columns, not {len(columns)}")
    for column in columns:
        if column not in names:
            raise ChartError(f"the result has no column {column}; it has {', '.join(names)}")
    found = [names.index(column) for column in columns]
    if not found:
        # A place or an hour tells rows apart; what is measured has a fraction or comes last.
        measures = [at for at in range(len(names)) if _is_measure(rows, at)] or [
            at for at in range(len(names) - 1, 0, -1) if _is_numeric(rows, at)
        ]
        found = measures[:1]
    if not found:
        raise ChartError("the result has no column of numbers to draw; name one by --chart COLUMN")
    for at in found:
        if not _is_numeric(rows, at) or any(_number(row[at]) < 0 for row in rows):
            raise ChartError(f"{names[at]} cannot be drawn: bars need numbers that are not negative")
    return found


def _is_numeric(rows: Sequence[Sequence[Any]], at: int) -> bool:
    return all(row[at] is None or (isinstance(row[at], int | float) and not isinstance(row[at], bool)) for row in rows)


def _is_measure(rows: Sequence[Sequence[Any]], at: int) -> bool:
    return _is_numeric(rows, at) and any(isinstance(row[at], float) for row in rows)


def _number(cell: float | None) -> float:
    return float(cell) if cell is not None else 0.0


def _bar(lengths: list[float]) -> str:
    """Return bars of these lengths end to end; rounding is done on their ends, so that the whole is right."""
    bar, end = "", 0.0
    for place, length in enumerate(lengths):
        end += length
        bar += FILLINGS[place] * (int(end) - len(bar))
    if len(lengths) == 1:
        bar += _EIGHTHS[int((end - int(end)) * len(_EIGHTHS))].strip()
    return bar


def _cut(label: str, width: int) -> str:
    return set_cell_size(label, width) if cell_len(label) <= width else set_cell_size(label, width - 1) + "…"
