"""The dashboard as an SVG picture, drawn from the same definition and the same SQL as QuickSight's. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

from athena.dashboard import GRID_COLUMNS, DashboardError, Visual
from athena.output import visible

CELL_WIDTH: Final = 34
CELL_HEIGHT: Final = 30
_GAP: Final = 8
_HEAD: Final = 30
#: Foreground and background; readable beside each other, also without colours.
_COLOURS: Final = ("#2563a8", "#e0a030", "#7a7a7a")
_INK, _PALE, _PAPER, _CARD = "#222222", "#777777", "#f1f2f4", "#ffffff"
#: Width of a character, for labels that must be cut.
_LETTER: Final = 6.2
_LABEL_WIDTH: Final = 120
_DATE_WIDTH: Final = 64
_FONT: Final = 'font-family="Helvetica, Arial, sans-serif" font-size="11"'

Rows = Sequence[Sequence[Any]]


def svg(title: str, visuals: Sequence[Visual], rows_of: Callable[[Visual], Rows]) -> str:
    """Return one sheet as a picture."""
    width = GRID_COLUMNS * CELL_WIDTH + 2 * _GAP
    height = max(visual.row + visual.height for visual in visuals) * CELL_HEIGHT + _HEAD + 2 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT}>',
        f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>',
        _text(_GAP * 2, _HEAD - 4, title, size=18),
    ]
    for visual in visuals:
        left, top = visual.column * CELL_WIDTH + _GAP, visual.row * CELL_HEIGHT + _HEAD + _GAP
        inner_width, inner_height = visual.width * CELL_WIDTH - _GAP, visual.height * CELL_HEIGHT - _GAP
        parts.append(f'<g transform="translate({left},{top})">')
        parts.append(f'<rect width="{inner_width}" height="{inner_height}" rx="4" fill="{_CARD}" stroke="#dddddd"/>')
        parts.append(_text(10, 18, visual.title, size=12, weight="bold"))
        parts += _drawing(visual)(visual, rows_of(visual), inner_width, inner_height)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _drawing(visual: Visual) -> Callable[[Visual, Rows, int, int], list[str]]:
    found = {
        "KPIVisual": _kpi,
        "BarChartVisual": _rows_of_bars if visual.horizontal else _columns_of_bars,
        "HeatMapVisual": _heat_map,
        "TableVisual": _table,
    }.get(visual.kind)
    if found is None:
        raise DashboardError(f"{visual.visual_id}: a {visual.kind} cannot be drawn here")
    return found


def _kpi(_visual: Visual, rows: Rows, _width: int, height: int) -> list[str]:
    value = rows[0][0] if rows else None
    return [_text(10, height - 24, "none" if value is None else f"{value:,.0f}", size=34)]


def _columns_of_bars(visual: Visual, rows: Rows, width: int, height: int) -> list[str]:
    left, right, top, bottom = 40, width - 10, 44, height - 24
    most = max((sum(row[1:]) for row in rows), default=0) or 1
    step = (right - left) / max(len(rows), 1)
    parts = [*_legend(visual, width), _axis(left, right, bottom), _text(4, top + 8, f"{most:,.1f}", fill=_PALE)]
    # Labels of days need their room.
    every = int(_DATE_WIDTH / step) + 1
    for number, row in enumerate(rows):
        x, y = left + number * step, float(bottom)
        for place, value in enumerate(row[1:]):
            size = value / most * (bottom - top)
            y -= size
            parts.append(_rect(x + step * 0.1, y, step * 0.8, size, _COLOURS[place]))
        if number % every == 0 and x + _DATE_WIDTH < width:
            parts.append(_text(x, bottom + 14, _label(row[0]), fill=_PALE))
    return parts


def _rows_of_bars(visual: Visual, rows: Rows, width: int, height: int) -> list[str]:
    top, left, right = 44, _LABEL_WIDTH + 16, width - 60
    step = min((height - top - 10) / max(len(rows), 1), 26)
    is_percent = visual.arrangement == "STACKED_PERCENT"
    most = max((sum(row[1:]) for row in rows), default=0) or 1
    parts = _legend(visual, width)
    for number, row in enumerate(rows):
        y, x, whole = top + number * step, float(left), sum(row[1:])
        parts.append(_text(10, y + step * 0.65, _cut(_label(row[0]), _LABEL_WIDTH)))
        for place, value in enumerate(row[1:]):
            size = value / ((whole or 1) if is_percent else most) * (right - left)
            parts.append(_rect(x, y + step * 0.15, size, step * 0.7, _COLOURS[place]))
            x += size
        figure = f"{100 * row[2] / (whole or 1):.0f}% bg" if is_percent else f"{whole:,.1f}"
        parts.append(_text(x + 4, y + step * 0.65, figure, fill=_PALE))
    return parts


def _heat_map(_visual: Visual, rows: Rows, width: int, height: int) -> list[str]:
    left, top = 30, 40
    down, across = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    most = max((row[2] for row in rows), default=0) or 1
    cell_width, cell_height = (width - left - 10) / max(len(across), 1), (height - top - 10) / max(len(down), 1)
    parts = [
        _text(left + number * cell_width + 2, top - 6, str(hour), fill=_PALE) for number, hour in enumerate(across)
    ]
    parts += [_text(12, top + (number + 0.65) * cell_height, str(day), fill=_PALE) for number, day in enumerate(down)]
    for day, hour, value in rows:
        x, y = left + across.index(hour) * cell_width, top + down.index(day) * cell_height
        paint = f"{_COLOURS[0]}/{0.06 + 0.94 * value / most:.2f}"
        parts.append(_rect(x + 1, y + 1, cell_width - 2, cell_height - 2, paint))
    return parts


def _table(visual: Visual, rows: Rows, width: int, height: int) -> list[str]:
    names = [*visual.dimensions, *visual.values]
    step, line = (width - 20) / len(names), 18
    parts = [_text(10 + number * step, 44, name, fill=_PALE, weight="bold") for number, name in enumerate(names)]
    for number, row in enumerate(rows[: (height - 56) // line]):
        for column, cell in enumerate(row):
            text = f"{cell:,}" if isinstance(cell, int) else _label(cell)
            parts.append(_text(10 + column * step, 62 + number * line, text))
    return parts


def _legend(visual: Visual, width: int) -> list[str]:
    if len(visual.values) == 1:
        return []
    parts, x = [], width - 110 * len(visual.values)
    for place, name in enumerate(visual.values):
        parts.append(_rect(x, 26, 9, 9, _COLOURS[place]))
        parts.append(_text(x + 13, 35, name.removeprefix("hours_"), fill=_PALE))
        x += 110
    return parts


def _label(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, datetime.date):
        return f"{value:%Y-%m-%d}"
    return "unknown" if value is None else visible(str(value))


def _cut(label: str, width: float) -> str:
    room = int(width / _LETTER)
    return label if len(label) <= room else label[: room - 1] + "…"


def _axis(left: float, right: float, y: float) -> str:
    return f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" stroke="{_PALE}"/>'


def _rect(x: float, y: float, width: float, height: float, paint: str) -> str:
    """Return a rectangle; `paint` is a colour, or one with an opacity behind a slash."""
    colour, _, opacity = paint.partition("/")
    shade = f' fill-opacity="{opacity}"' if opacity else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"{shade}/>'


def _text(x: float, y: float, text: str, **style: str | int) -> str:
    """Return a text; `style` holds its size, weight and fill."""
    given = {
        "font-size" if name == "size" else f"font-{name}" if name == "weight" else name: style[name] for name in style
    }
    attributes = "".join(f' {name}="{value}"' for name, value in {"fill": _INK, **given}.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text, quote=False)}</text>'
