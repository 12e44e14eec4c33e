"""The rows that the live page shows, in bounded memory."""

from __future__ import annotations

import functools
import random

import pytest

from gateway.csv_rows import to_csv
from gateway.held_days import HeldDays, totals_of
from gateway.pipeline_health import Rate
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, row_of
from tests import live_gateway

DAY = "2026-01-02"
put = functools.partial(live_gateway.put, dt=DAY)


def test_rows_are_those_of_the_topic_the_most_watched_first():
    held = HeldDays(100)
    put(held, VIDEO, "a|b", [1, 2, 3, 4], channel="c")
    put(held, VIDEO, "z", [9, 0, 0, 0])
    put(held, VIDEO, "z", [10, 0, 1, 0])

    assert held.rows(VIDEO, DAY, 5) == [
        {**row_of(VIDEO, DAY, "z", [10, 0, 1, 0], None), "updated_at": 5},
        {**row_of(VIDEO, DAY, "a|b", [1, 2, 3, 4], "c"), "updated_at": 5},
    ]
    assert held.rows(VIDEO, "2026-01-03", 5) == []


def test_hours_come_in_order_and_totals_are_their_sums():
    held = HeldDays(1)
    for hour in (10, 9, 2):
        put(held, HOUR, str(hour), [hour, 1, 2, 3])

    hours = held.rows(HOUR, DAY, 24)
    assert [row["hour"] for row in hours] == [2, 9, 10]
    assert totals_of(hours) == {
        "watch_ms": 24,
        "watch_ms_fg": 21,
        "watch_ms_bg": 3,
        "views": 6,
        "ad_ms": 9,
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_most_watched_of_many_are_right_in_any_order_of_growth(seed):
    drawn = random.Random(seed)
    held, truth = HeldDays(50), {}
    for _ in range(20_000):
        video = f"v{int(drawn.paretovariate(0.4)) % 3_000}"
        truth[video] = truth.get(video, 0) + drawn.randint(1, 1_000)
        put(held, VIDEO, video, [truth[video], 0, 0, 0])

    best = sorted(truth.items(), key=lambda entry: (-entry[1], entry[0]))[:50]
    assert best == [(row["video_id"], row["watch_ms"]) for row in held.rows(VIDEO, DAY, 50)]
    count, cut = held.count(VIDEO, DAY)
    assert cut
    assert count <= 63


def test_100_000_videos_a_day_stay_within_the_bound():
    held = HeldDays(1_000)
    for number in range(100_000):
        put(held, VIDEO, f"v{number}", [number, 0, 0, 0])

    assert held.rows(VIDEO, DAY, 1)[0]["watch_ms"] == 99_999
    assert held.count(VIDEO, DAY)[0] <= 1_250


def test_older_days_keep_fewer_rows():
    held = HeldDays(100)
    for day in range(1, 5):
        for number in range(100):
            put(held, CHANNEL, f"c{number}", [number, 0, 0, 0], dt=f"2026-01-0{day}")

    assert [held.count(CHANNEL, dt)[0] for dt in held.days()] == [100, 100, 5, 5]


def test_a_null_value_takes_its_row_away():
    held = HeldDays(10)
    put(held, INGEST, "", [5, 5, 0, 0, 0, 0, 0])
    assert held.counted() == 5

    held.apply(INGEST.topic, daily_key(DAY, "ingest", ""), None)
    held.apply(INGEST.topic, daily_key("1999-01-01", "ingest", ""), None)

    assert held.counted() == 0
    assert held.days() == [DAY]


def test_after_a_refold_a_day_that_was_cut_is_read_anew():
    held = HeldDays(4)
    assert put(held, VIDEO, "a", [1, 0, 0, 0], generation=1)
    for number in range(10):
        put(held, VIDEO, f"v{number}", [number, 0, 0, 0], generation=1)

    assert not put(held, VIDEO, "a", [1, 0, 0, 0], generation=2)
    assert held.days() == []
    assert put(held, VIDEO, "a", [1, 0, 0, 0], generation=2)


def test_search_looks_at_ids_and_channels_in_any_case():
    held = HeldDays(10)
    put(held, VIDEO, "AbC", [1, 0, 0, 0], channel="Straße")
    put(held, VIDEO, "xyz", [2, 0, 0, 0])

    assert [row["video_id"] for row in held.rows(VIDEO, DAY, 9, "abc")] == ["AbC"]
    assert [row["video_id"] for row in held.rows(VIDEO, DAY, 9, "STRASSE")] == ["AbC"]
    assert held.rows(VIDEO, DAY, 9, "none") == []


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("a=1", "a=1"),
        ("a,b", '"a,b"'),
        ("a\u2028b", "a\u2028b"),
        ("", ""),
        (None, ""),
        (-5, "-5"),
    ],
)
def test_no_cell_is_a_formula(value, cell):
    assert to_csv(["n", "m"], [{"n": value, "m": 1}]) == f"n,m\r\n{cell},1\r\n"


def test_a_rate_is_what_the_last_ten_seconds_brought():
    rate = Rate()

    assert rate.update(0.0, 100) is None
    assert rate.update(2.0, 120) == 10
    for second in range(4, 30, 2):
        last = rate.update(second, 120)
    assert last == 0
    assert rate.update(30.0, 5) is None
