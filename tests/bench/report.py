"""What a part of the benchmark gives: figures for programs, a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.machine import DISTURBED
from tests.bench.peers.homes import Homes

Run = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all parts are told."""

    #: A temporary folder of this benchmark's own.
    folder: Path
    runs: int
    #: Share of the usual number of events and seconds: less than 1 only shows that all works.
    scale: float
    homes: Homes
    say: Callable[[str], None]

    def events(self, usual: int) -> int:
        """Return how many events to use in place of the usual number."""
        return max(2_000, int(usual * self.scale))

    def seconds(self, usual: float) -> int:
        """Return how long to measure in place of the usual time."""
        return max(1, round(usual * self.scale))


@dataclass(kw_only=True)
class Part:
    """One part's outcome."""

    title: str
    markdown: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    #: Candidates that could not be had, and why.
    skipped: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the part as Markdown."""
        notes = [f"Skipped: {name} ({reason})." for name, reason in self.skipped.items()]
        return "\n".join([f"### {self.title}", "", *self.markdown, *([""] if notes else []), *notes])


def kept(runs: Sequence[Run]) -> Sequence[Run]:
    """Return the runs that others did not disturb; all of them when none is left."""
    return [run for run in runs if run.get("others", 0) <= DISTURBED] or runs


def median(runs: Sequence[Run], name: str) -> float:
    """Return the median of a figure over the runs that count."""
    return statistics.median(run[name] for run in kept(runs))


def mark(runs: Sequence[Run]) -> str:
    """Return a star where every run was disturbed by other work on the machine."""
    return "" if any(run.get("others", 0) <= DISTURBED for run in runs) else " *"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table: the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def number(value: float, digits: int = 0) -> str:
    """Return a figure as people read it."""
    return f"{value:,.{digits}f}"
