"""Naive Faust: an agent that updates a table of videos and one of channels for each event, as the manual shows it.

PEER_SERVERS, PEER_APP, PEER_EVENTS say what to do; run by `python faust_totals.py worker`. With PEER_TASK=load it
puts a key for each event id into one table instead and stops, with PEER_TASK=restore it restores that table.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time

import faust
from counting import DAY_MS, contribution, decode
from progress import Progress, tell

EVENTS = int(os.environ["PEER_EVENTS"])
TASK = os.environ.get("PEER_TASK", "totals")
#: How long a table's changes may be on their way to the broker.
SETTLE_S = 6

app = faust.App(
    os.environ["PEER_APP"],
    broker=f"kafka://{os.environ['PEER_SERVERS']}",
    store="memory://",
    topic_partitions=4,
    consumer_auto_offset_reset="earliest",
    producer_acks=-1,
    producer_linger=0.05 if TASK == "load" else 0,
    datadir=os.environ.get("PEER_FOLDER", tempfile.gettempdir()),
    web_enabled=False,
    worker_redirect_stdouts=False,
)
raw = app.topic("watch.events", key_serializer="raw", value_serializer="raw", partitions=4)
progress = Progress(EVENTS)
started = time.monotonic()

if TASK == "totals":
    videos = app.Table("videos", default=lambda: [0, 0, 0], partitions=4)
    channels = app.Table("channels", default=lambda: [0, 0, 0], partitions=4)

    def add(table: faust.Table, key: str, counter: int, amount: int) -> None:
        """Write a row back, which is what puts it into the changelog."""
        counters = table[key]
        counters[counter] += amount
        table[key] = counters

    @app.agent(raw)
    async def total(values: faust.StreamT[bytes]) -> None:
        """Count events one by one."""
        async for value in values:
            progress.first()
            event = decode(value)
            if added := contribution(event):
                day = event.event_ts // DAY_MS
                add(videos, f"{day}|{event.video_id}", *added)
                if event.channel_name:
                    add(channels, f"{day}|{event.channel_name}", *added)
            progress.count()

else:
    ids = app.Table("ids", default=int, partitions=4)

    @app.agent(raw)
    async def load(values: faust.StreamT[bytes]) -> None:
        """Keep each event id."""
        async for value in values:
            event = decode(value)
            ids[event.event_id] = event.event_ts
            if TASK == "load" and len(ids) == EVENTS:
                await asyncio.sleep(SETTLE_S)
                tell(keys=len(ids))

    if TASK == "restore":

        @app.timer(0.05)
        async def restored() -> None:
            """Faust has no event to await for this."""
            if app.tables.recovery.completed.is_set() and len(ids) >= EVENTS:
                tell(keys=len(ids), with_start_s=time.monotonic() - started)


if __name__ == "__main__":
    app.main()
