"""Bars in a terminal: lengths, what is drawn without being named, and what cannot be drawn."""

from __future__ import annotations

import pytest

from athena.chart import ChartError, bars

NAMES = ["dt", "place", "hours", "minutes", "channel"]
ROWS = [("2026-01-01", 1, 8.0, 2, "a"), ("2026-01-02", 2, 4.0, 6, None), ("2026-01-03", 3, 0.0, 0, "\x1b[31m")]


def test_the_first_measure_is_drawn_and_the_longest_bar_fills_the_line() -> None:
    lines = bars(NAMES, ROWS, [], 40)

    assert [line.count("█") for line in lines] == [lines[0].count("█"), lines[0].count("█") // 2, 0, 1]
    assert len(lines[0]) <= 40
    assert len(lines[0]) >= 38
    assert lines[-1].strip() == "█ hours"


def test_columns_end_to_end_share_one_scale() -> None:
    lines = bars(NAMES, ROWS, ["hours", "minutes"], 60)

    long, short = lines[0].count("█"), lines[0].count("▒")
    assert abs(long - 4 * short) <= 4
    assert lines[0].index("▒") > lines[0].rindex("█")
    assert lines[0].split(" █")[0].endswith("10")
    assert lines[-1].split() == ["█", "hours", "▒", "minutes"]


def test_labels_cannot_steer_the_terminal_and_are_cut() -> None:
    lines = bars(["name", "n"], [("\x1b[31m" + "x" * 100, 5), ("🦉", 4)], [], 60)

    assert "\x1b" not in "".join(lines)
    assert "…" in lines[0]
    assert all(len(line) <= 60 for line in lines)


def test_whole_numbers_are_drawn_when_there_is_nothing_else() -> None:
    assert "5" in bars(["hour", "views"], [(3, 5)], [], 40)[0]


def test_an_empty_result_has_an_empty_chart() -> None:
    assert bars(["dt", "n"], [], ["n"], 40)[-1].strip() == "█ n"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["nothing"], "no column nothing; it has dt, place, hours, minutes, channel"),
        (["channel"], "channel cannot be drawn"),
        (["hours", "minutes", "place", "dt"], "up to 3 columns"),
    ],
)
def test_what_cannot_be_drawn_is_named(columns: list[str], reason: str) -> None:
    with pytest.raises(ChartError, match=reason):
        bars(NAMES, ROWS, columns, 40)


def test_a_negative_number_has_no_bar() -> None:
    with pytest.raises(ChartError, match="not negative"):
        bars(["a", "n"], [("x", -1)], [], 40)


def test_text_alone_has_no_chart() -> None:
    with pytest.raises(ChartError, match="no column of numbers"):
        bars(["a"], [("x",)], [], 40)
