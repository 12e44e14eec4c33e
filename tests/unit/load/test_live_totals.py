"""Totals as a demonstration shows them."""

from __future__ import annotations

import io
from typing import Any

import orjson
from rich.console import Console

from deploy.live_totals import LiveTotals, duration
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, INGEST, VIDEO, Table


def apply(totals: LiveTotals, table: Table, row_id: str, **row: Any) -> None:
    totals.apply(table.topic, daily_key(row.get("dt", "2026-03-10"), table.kind, row_id), orjson.dumps(row))


def test_the_last_value_of_a_row_counts_and_days_are_summed() -> None:
    totals = LiveTotals()
    apply(totals, VIDEO, "a|b", watch_ms=5_000, views=1)
    apply(totals, VIDEO, "a|b", watch_ms=7_000, views=2)
    apply(totals, VIDEO, "a|b", watch_ms=1_000, views=1, dt="2026-03-11")
    apply(totals, VIDEO, "c", watch_ms=9_000, views=1)
    apply(totals, INGEST, "", total_events=10, duplicate_events=2)
    apply(totals, INGEST, "", total_events=1, duplicate_events=0, dt="2026-03-11")

    assert totals.top(VIDEO) == [("c", 9_000, 1), ("a|b", 8_000, 3)]
    assert (totals.events(), totals.repeats(), totals.watch_ms()) == (11, 2, 17_000)
    assert totals.days() == {"2026-03-10": (10, 2), "2026-03-11": (1, 0)}


def test_a_row_without_value_is_gone() -> None:
    totals = LiveTotals()
    apply(totals, CHANNEL, "x", watch_ms=1, views=0)
    totals.apply(CHANNEL.topic, daily_key("2026-03-10", "channel", "x"), None)

    assert totals.top(CHANNEL) == []


def test_names_cannot_steer_the_terminal() -> None:
    totals = LiveTotals()
    apply(totals, VIDEO, "[red]\x1b[31m", watch_ms=61_000, views=1)
    out = io.StringIO()
    console = Console(file=out, width=140)
    console.print(totals.draw(5))
    console.print(totals.line(5), markup=False)

    assert "\x1b" not in out.getvalue()
    assert "[red]\\x1b[31m" in out.getvalue()
    assert "1 min 01 s" in out.getvalue()


def test_durations() -> None:
    assert [duration(ms) for ms in (0, 59_999, 60_000, 3_600_000, 360_000_000)] == [
        "0 min 00 s",
        "0 min 59 s",
        "1 min 00 s",
        "1 h 00 min",
        "100 h 00 min",
    ]
