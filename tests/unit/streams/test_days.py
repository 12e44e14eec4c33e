"""Days and hours: the three day rules at the ends of what is believed."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contract import days
from streams.contract.days import DAY_MS, HOUR_MS, Slot, delivery_ms, slot_of

MINUTE_MS = 60_000
#: 2025-10-09 08:55:23.456 UTC
NOW = 1_760_000_123_456
MIDNIGHT = 1_759_968_000_000
TODAY = Slot("2025-10-09", 8, moved=False)
MOVED = Slot("2025-10-09", 8, moved=True)


@pytest.mark.parametrize(
    ("received_at", "expected"),
    [
        (None, NOW),
        (NOW - 250, NOW - 250),
        (NOW + HOUR_MS, NOW + HOUR_MS),
        (NOW + HOUR_MS + 1, NOW),
        (NOW - HOUR_MS, NOW - HOUR_MS),
        (NOW - HOUR_MS - 1, NOW),
        (0, NOW),
        (2**63, NOW),
        (-(2**63), NOW),
    ],
)
def test_delivery(received_at, expected):
    assert delivery_ms(received_at, NOW) == expected


@pytest.mark.parametrize(
    ("event_ts", "expected"),
    [
        (NOW, TODAY),
        (None, MOVED),
        (NOW - 7 * DAY_MS, Slot("2025-10-02", 8, moved=False)),
        (NOW - 7 * DAY_MS - 1, MOVED),
        (NOW + 10 * MINUTE_MS, Slot("2025-10-09", 9, moved=False)),
        (NOW + 10 * MINUTE_MS + 1, MOVED),
        (MIDNIGHT, Slot("2025-10-09", 0, moved=False)),
        (MIDNIGHT - 1, Slot("2025-10-08", 23, moved=False)),
        (0, MOVED),
        (-1, MOVED),
        (2**63 - 1, MOVED),
        (10**30, MOVED),
    ],
)
def test_the_day_of_the_event(event_ts, expected):
    assert slot_of("event", event_ts, NOW, 420) == expected


@pytest.mark.parametrize("event_ts", [None, 0, NOW, NOW - DAY_MS, 2**63])
def test_the_day_of_the_delivery_moves_nothing(event_ts):
    assert slot_of("received", event_ts, NOW, 420) == TODAY


@pytest.mark.parametrize(
    ("event_ts", "offset_min", "expected"),
    [
        (NOW, None, TODAY),
        (NOW, 0, TODAY),
        (NOW, -60, Slot("2025-10-09", 9, moved=False)),
        (NOW, 540, Slot("2025-10-08", 23, moved=False)),
        (NOW, 840, Slot("2025-10-08", 18, moved=False)),
        (NOW, -840, Slot("2025-10-09", 22, moved=False)),
        (NOW, 841, TODAY),
        (NOW, -841, TODAY),
        (NOW, -30, Slot("2025-10-09", 9, moved=False)),
        (MIDNIGHT, 1, Slot("2025-10-08", 23, moved=False)),
        (MIDNIGHT - 1, -1, Slot("2025-10-09", 0, moved=False)),
        # Judged before the shift, shifted also when moved.
        (NOW - 7 * DAY_MS, 840, Slot("2025-10-01", 18, moved=False)),
        (NOW + 10 * MINUTE_MS, -840, Slot("2025-10-09", 23, moved=False)),
        (NOW + 10 * MINUTE_MS + 1, 540, Slot("2025-10-08", 23, moved=True)),
        (None, 540, Slot("2025-10-08", 23, moved=True)),
    ],
)
def test_the_day_of_the_viewer(event_ts, offset_min, expected):
    assert slot_of("local", event_ts, NOW, offset_min) == expected


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**43), st.none() | st.integers(-900, 900))
def test_a_slot_lies_within_reach_of_its_delivery(event_ts, delivered_ms, offset_min):
    for rule in days.DAY_RULES:
        slot = slot_of(rule, event_ts, delivered_ms, offset_min)
        start = days.day_start_ms(slot.dt) + slot.hour * HOUR_MS
        assert 0 <= slot.hour <= 23
        assert delivered_ms - 7 * DAY_MS - 15 * HOUR_MS <= start <= delivered_ms + 15 * HOUR_MS


@given(st.dates())
def test_days_are_those_of_the_calendar(date):
    start_ms = days.day_start_ms(date.isoformat())

    assert days.dt_of_ms(start_ms) == days.dt_of_ms(start_ms + DAY_MS - 1) == date.isoformat()
    if date != datetime.date.max:
        assert days.shift_dt(date.isoformat(), 1) == (date + datetime.timedelta(days=1)).isoformat()


def test_instants_outside_the_calendar_are_clamped():
    assert days.dt_of_ms(-(2**63)) == "0001-01-01"
    assert days.dt_of_ms(2**63) == "9999-12-31"


@pytest.mark.parametrize("dt", ["", "2025-13-01", "yesterday"])
def test_a_day_that_is_none_is_refused(dt):
    with pytest.raises(ValueError, match=r"."):
        days.day_start_ms(dt)
