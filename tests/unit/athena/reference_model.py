"""The pipeline that this project replaces, built again from its description: processor, compactor, nothing shared.

The processor reads one raw object and writes one partial document; the compactor adds a day's documents up to rows.
The day is the one in the object's key. No import of this project's code stands here, so that agreement means something.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Document = dict[str, Any]

MAX_DELTA_MS = 60_000
METRICS = ("total_events", "valid_events", "invalid_events", "ignored_no_video_ticks", "ignored_no_channel_ticks")
TOTALS = ("total_ms_by_channel", "total_ms_by_video", "total_ms_by_channel_fg", "total_ms_by_channel_bg")
#: The model's own: the reference's rows of a video had these, its partial documents did not.
VIDEO_TOTALS = ("total_ms_by_video_fg", "total_ms_by_video_bg")
VIEWS = ("views_by_video", "views_by_channel")


def process(body: bytes) -> Document:
    """Return the partial document of one raw object, without its source."""
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    document: Document = {
        "totals": {name: defaultdict(int) for name in (*TOTALS, *VIDEO_TOTALS)},
        "views": {name: defaultdict(int) for name in VIEWS},
        "metrics": dict.fromkeys(METRICS, 0),
    }
    for line in body.decode("utf-8", errors="replace").splitlines():
        document["metrics"]["total_events"] += 1
        event = _event(line)
        if event is None:
            document["metrics"]["invalid_events"] += 1
            continue
        document["metrics"]["valid_events"] += 1
        if event["event_type"] == "video_start":
            _start(document["views"], event)
        elif event["event_type"] == "watch_tick":
            _tick(document, event)
    return document


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line.strip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or any(event.get(name) is None for name in ("event_type", "event_ts", "tab_id")):
        return None
    return event


def _start(views: dict[str, Any], event: dict[str, Any]) -> None:
    for field, counts in (("video_id", "views_by_video"), ("channel_name", "views_by_channel")):
        if name := _name(event, field):
            views[counts][name] += 1


def _tick(document: Document, event: dict[str, Any]) -> None:
    delta = event.get("watch_ms_delta")
    if not isinstance(delta, int) or isinstance(delta, bool) or not 0 < delta <= MAX_DELTA_MS:
        return
    totals, metrics = document["totals"], document["metrics"]
    ground = "bg" if event.get("watch_mode") == "background" else "fg"
    video, channel = _name(event, "video_id"), _name(event, "channel_name")
    if not video:
        metrics["ignored_no_video_ticks"] += 1
        return
    totals["total_ms_by_video"][video] += delta
    totals[f"total_ms_by_video_{ground}"][video] += delta
    if not channel:
        metrics["ignored_no_channel_ticks"] += 1
        return
    totals["total_ms_by_channel"][channel] += delta
    totals[f"total_ms_by_channel_{ground}"][channel] += delta


def _name(event: dict[str, Any], field: str) -> str | None:
    value = event.get(field)
    return value if isinstance(value, str) and value else None


def compact(documents: Iterable[Document]) -> Document:
    """Return the sums of a day's documents."""
    found: Document = {
        "totals": {name: defaultdict(int) for name in (*TOTALS, *VIDEO_TOTALS)},
        "views": {name: defaultdict(int) for name in VIEWS},
        "metrics": dict.fromkeys(METRICS, 0),
    }
    for document in documents:
        for part in ("totals", "views"):
            for name, counts in document[part].items():
                for key, count in counts.items():
                    found[part][name][key] += count
        for name, count in document["metrics"].items():
            found["metrics"][name] += count
    return found


def rows(dt: str, day: Document) -> dict[str, list[dict[str, Any]]]:
    """Return the daily files of a day as the compactor writes them; the channel of a video is not part of it."""
    totals, views = day["totals"], day["views"]
    found: dict[str, list[dict[str, Any]]] = {"ingest_daily": [{"dt": dt, **day["metrics"]}]}
    for table, field, kind in (("video_daily", "video_id", "video"), ("channel_daily", "channel", "channel")):
        watch, seen = totals[f"total_ms_by_{kind}"], views[f"views_by_{kind}"]
        found[table] = [
            {
                "dt": dt,
                field: name,
                "watch_ms": watch.get(name, 0),
                "watch_ms_fg": totals[f"total_ms_by_{kind}_fg"].get(name, 0),
                "watch_ms_bg": totals[f"total_ms_by_{kind}_bg"].get(name, 0),
                "views": seen.get(name, 0),
            }
            for name in sorted({*watch, *seen})
        ]
    return found
