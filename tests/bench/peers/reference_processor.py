"""The processor that this project replaces, written from the contract in plain Python: raw lines to one partial.

Argument: a file of NDJSON. The whole text is in memory, each line is a dictionary, nothing is counted but once a line.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any


def main(path: str) -> None:
    """Count a file and print what it comes to."""
    totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    metrics: dict[str, int] = defaultdict(int)
    for line in Path(path).read_bytes().decode(errors="replace").splitlines():
        metrics["total_events"] += 1
        try:
            event: Any = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or any(event.get(name) is None for name in ("event_type", "event_ts", "tab_id")):
            metrics["invalid_events"] += 1
            continue
        metrics["valid_events"] += 1
        _count(event, totals, metrics)
    watched = sum(totals["total_ms_by_video"].values())
    sys.stdout.write(json.dumps({"events": metrics["total_events"], "watch_ms": watched}) + "\n")


def _count(event: dict[str, Any], totals: dict[str, dict[str, int]], metrics: dict[str, int]) -> None:
    video, channel = event.get("video_id"), event.get("channel_name")
    if event["event_type"] == "video_start":
        if video:
            totals["views_by_video"][video] += 1
        if channel:
            totals["views_by_channel"][channel] += 1
    elif event["event_type"] == "watch_tick":
        delta = event.get("watch_ms_delta")
        if not isinstance(delta, int) or delta <= 0:
            return
        if not video:
            metrics["ignored_no_video_ticks"] += 1
            return
        totals["total_ms_by_video"][video] += delta
        if not channel:
            metrics["ignored_no_channel_ticks"] += 1
            return
        mode = "bg" if event.get("watch_mode") == "background" else "fg"
        totals["total_ms_by_channel"][channel] += delta
        totals[f"total_ms_by_channel_{mode}"][channel] += delta


if __name__ == "__main__":
    main(sys.argv[1])
