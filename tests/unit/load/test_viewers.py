"""Simulated viewers: valid, repeatable, and as awkward as people are."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import orjson
import pytest

from deploy.catalogue import AWKWARD_NAMES, Catalogue
from deploy.viewers import BACKLOG_MS, DAY_MS, HOUR_MS, Audience, Viewer
from gateway.validate import verdict
from streams.contract.event import MAX_CODE_POINTS, MAX_EVENT_BYTES, REQUIRED_BY_TYPE

NOW = 1_773_144_000_000 + HOUR_MS // 2  # 2026-03-10T12:30:00Z


@pytest.fixture(name="events", scope="module")
def _events() -> list[dict[str, Any]]:
    audience = Audience(7, 200, NOW)
    return list(itertools.chain.from_iterable(audience.take(client, 200, NOW) for client in range(200)))


def test_equal_seeds_give_equal_events_and_others_do_not() -> None:
    first, second = (Audience(7, 10, NOW).take(3, 50, NOW) for _ in range(2))

    assert first == second
    assert Audience(8, 10, NOW).take(3, 50, NOW) != first
    assert Audience(7, 10, NOW).take(4, 50, NOW) != first


def test_batches_do_not_change_what_a_viewer_does() -> None:
    whole = Audience(7, 1, NOW).take(0, 60, NOW)
    audience = Audience(7, 1, NOW)

    assert [event for size in (1, 2, 27, 30) for event in audience.take(0, size, NOW)] == whole


def test_every_event_has_what_its_type_demands(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert event["schema"] == 1
        assert all(name in event for name in REQUIRED_BY_TYPE[event["event_type"]])
        assert type(event["event_ts"]) is int
        assert len(orjson.dumps(event)) <= MAX_EVENT_BYTES
        assert verdict(event, len(orjson.dumps(event))) is None
        for name, most in MAX_CODE_POINTS.items():
            assert len(event.get(name) or "") <= most
        if event["event_type"] == "watch_tick":
            assert 0 <= event["watch_ms_delta"] <= 60_000
    assert {event["event_type"] for event in events} == set(REQUIRED_BY_TYPE)


def test_events_are_told_apart_and_numbers_do_not_skip(events: list[dict[str, Any]]) -> None:
    assert len({event["event_id"] for event in events}) == len(events)
    numbered = [event for event in events if "seq" in event]
    assert len({(event["client_session_id"], event["seq_epoch"], event["seq"]) for event in numbered}) == len(numbered)
    assert 0.4 < len(numbered) / len(events) < 0.9


def test_days_hours_and_lateness(events: list[dict[str, Any]]) -> None:
    ages = [NOW - event["event_ts"] for event in events]

    assert len({event["event_ts"] // DAY_MS for event in events if 0 <= NOW - event["event_ts"] < BACKLOG_MS}) >= 2
    assert any(BACKLOG_MS < age < 7 * DAY_MS for age in ages), "late, yet believed"
    assert any(age > 7 * DAY_MS for age in ages), "too old"
    assert any(age < -10 * 60_000 for age in ages), "of the future"
    assert not any(-HOUR_MS < age < 0 for age in ages), "near the bound of belief, where a client cannot know"
    assert not any(6.5 * DAY_MS < age < 7.5 * DAY_MS for age in ages), "near the other bound"


def test_order_is_not_always_that_of_the_clock(events: list[dict[str, Any]]) -> None:
    numbered = [event for event in events if "seq" in event]
    backwards = sum(
        later["seq"] < earlier["seq"]
        for earlier, later in itertools.pairwise(numbered)
        if later["seq_epoch"] == earlier["seq_epoch"]
    )

    assert backwards > 0


def test_near_a_full_hour_nobody_strays() -> None:
    on_the_hour = NOW - HOUR_MS // 2
    viewer = Viewer(Catalogue(7), "x", on_the_hour)

    assert all(event["event_ts"] <= on_the_hour for event in viewer.take(20_000, on_the_hour))


def test_names_habits_and_popularity(events: list[dict[str, Any]]) -> None:
    names = {event.get("channel_name") for event in events}
    assert len(names & set(AWKWARD_NAMES)) > len(AWKWARD_NAMES) // 2
    assert {None, ""} <= names
    ticks = [event for event in events if event["event_type"] == "watch_tick"]
    assert {"foreground", "background", None} == {event.get("watch_mode") for event in ticks}
    assert {True, False, None} == {event.get("ad") for event in ticks}
    by_video = Counter(event["video_id"] for event in ticks).most_common()
    assert by_video[0][1] > 20 * by_video[len(by_video) // 2][1]


def test_the_clock_stays_behind_the_true_time() -> None:
    viewer = Viewer(Catalogue(7), "y", NOW, strays=False)

    assert all(event["event_ts"] <= NOW for event in viewer.take(20_000, NOW))
    assert max(event["event_ts"] for event in viewer.take(100, NOW + 5_000)) <= NOW + 5_000
