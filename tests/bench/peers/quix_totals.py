"""Quix Streams: grouped by video and by channel, a stateful total each, exactly once, no dedupe.

Arguments: servers, group, events, state folder.
"""

from __future__ import annotations

import sys
from typing import Any

from progress import Progress
from quixstreams import Application, State

DAY_MS = 86_400_000


def main(servers: str, group: str, events: int, folder: str) -> None:
    """Run until all events are counted in both groupings."""
    progress = Progress(events, branches=2)
    app = Application(
        broker_address=servers,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=folder,
        processing_guarantee="exactly-once",
        loglevel="WARNING",
    )

    def pick(event: dict[str, Any]) -> dict[str, Any]:
        progress.first()
        counter, amount = 0, event.get("watch_ms_delta", 0)
        if event["event_type"] == "video_start":
            counter, amount = 2, 1
        elif event.get("watch_mode") == "background":
            counter = 1
        day = event["event_ts"] // DAY_MS
        names = {"video": f"{day}|{event.get('video_id')}", "channel": f"{day}|{event.get('channel_name')}"}
        return {**names, "counter": counter, "amount": amount}

    def total(branch: int) -> Any:
        def add(row: dict[str, Any], state: State) -> None:
            counters = state.get("counters", [0, 0, 0])
            counters[row["counter"]] += row["amount"]
            state.set("counters", counters)
            progress.count(branch=branch)

        return add

    rows = app.dataframe(app.topic("watch.events", value_deserializer="json", key_deserializer="bytes")).apply(pick)
    rows.group_by("video", name="video").update(total(0), stateful=True)
    rows.group_by("channel", name="channel").update(total(1), stateful=True)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
