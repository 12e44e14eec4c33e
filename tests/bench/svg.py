"""Small line charts as SVG: panels side by side, each with its own scale, marks on every point. No dependency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

PANEL_W: Final = 300
PANEL_H: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 56, 44
GRID_LINES: Final = 4
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#3b4252}.t{font-weight:600;font-size:13px}"
    ".g{stroke:#d8dee9}.l{fill:none;stroke:#2563eb;stroke-width:2}.p{fill:#2563eb}"
)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One curve: a point for each x, from zero on."""

    title: str
    values: Sequence[float]


def chart(title: str, x_title: str, xs: Sequence[float], panels: Sequence[Panel], *, log_x: bool) -> str:
    """Return a document with the panels side by side."""
    width = PANEL_W * len(panels)
    drawn = [_panel(panel, xs, n * PANEL_W, x_title, log_x=log_x) for n, panel in enumerate(panels)]
    size = f'width="{width}" height="{PANEL_H}" viewBox="0 0 {width} {PANEL_H}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{PANEL_H}" fill="#fff"/>',
            f'<text class="t" x="{LEFT}" y="18">{escape(title)}</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, xs: Sequence[float], left: int, x_title: str, *, log_x: bool) -> str:
    places = [math.log10(x) if log_x else x for x in xs]
    first, span = min(places), (max(places) - min(places)) or 1
    top_value = _round_up(max(panel.values))
    right, bottom = PANEL_W - RIGHT, PANEL_H - BOTTOM

    def at_x(place: float) -> float:
        return round(left + LEFT + (place - first) / span * (right - LEFT), 1)

    def at_y(value: float) -> float:
        return round(bottom - value / top_value * (bottom - TOP), 1)

    parts = [f'<text x="{left + LEFT}" y="40">{escape(panel.title)}</text>']
    for n in range(GRID_LINES + 1):
        value = top_value * n / GRID_LINES
        y = at_y(value)
        parts += [
            f'<line class="g" x1="{left + LEFT}" y1="{y}" x2="{left + right}" y2="{y}"/>',
            f'<text x="{left + LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(value)}</text>',
        ]
    points = [(at_x(place), at_y(value)) for place, value in zip(places, panel.values, strict=True)]
    parts.append(f'<polyline class="l" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')
    for (x, y), raw in zip(points, xs, strict=True):
        parts += [
            f'<circle class="p" cx="{x}" cy="{y}" r="3"/>',
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{_short(raw)}</text>',
        ]
    middle = left + LEFT + (right - LEFT) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(x_title)}</text>')
    return "\n".join(parts)


def _round_up(value: float) -> float:
    """Return the next greater 1, 2, 4, 5 or 8 times a power of ten: a quarter of it reads well."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)


def _short(value: float) -> str:
    """Return a number as it fits beside an axis."""
    for size, suffix in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
