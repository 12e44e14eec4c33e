"""What each ready-made query of the raw events must return for the sample, in plain Python."""

from __future__ import annotations

from typing import Any

from tests.athena.answers import (
    Rows,
)
from tests.athena.asked import RAW_GIVEN, TOP, minutes, percent
from tests.athena.sample import Sample, day_of


def _events(data: Sample) -> list[dict[str, Any]]:
    return [event for event in data.events if RAW_GIVEN["from"] <= day_of(event["received_at"]) <= RAW_GIVEN["to"]]


def event_types(data: Sample) -> Rows:
    clients: dict[tuple[str, str], list[str]] = {}
    for event in _events(data):
        clients.setdefault((day_of(event["received_at"]), event["event_type"]), []).append(event["client_id"])
    return [(*key, len(found), len(set(found))) for key, found in sorted(clients.items())]


def sessions(data: Sample) -> Rows:
    ticks = {
        (event["client_id"], event["event_id"]): event
        for event in _events(data)
        if event["event_type"] == "watch_tick" and event["watch_ms_delta"] and event.get("ad") is not True
    }
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in ticks.values():
        groups.setdefault((event["video_id"], event["video_session_id"]), []).append(event)
    rows = []
    for key, found in groups.items():
        watch = sum(event["watch_ms_delta"] for event in found)
        rows.append((-watch, key[1], (*key, found[0]["channel_name"], minutes(watch), len(found))))
    return [row for _, _, row in sorted(rows)[:TOP]]


def delays(data: Sample) -> Rows:
    by_day: dict[str, list[int]] = {}
    for event in _events(data):
        by_day.setdefault(day_of(event["received_at"]), []).append(event["received_at"] - event["event_ts"])
    bounds = (60_000, 3_600_000, 86_400_000)
    return [
        (dt, len(late), *(percent(sum(one < bound for one in late), len(late)) for bound in bounds))
        for dt, late in sorted(by_day.items())
    ]
