"""What Python can do at most: read by aiokafka, decode into a struct, add to two dictionaries; nothing is kept.

Arguments: servers, events.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import defaultdict

import uvloop
from aiokafka import AIOKafkaConsumer
from counting import DAY_MS, contribution, decode_lines
from progress import Progress


async def main(servers: str, events: int) -> None:
    """Read the raw topic from its start."""
    progress = Progress(events)
    rows: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    async with AIOKafkaConsumer(
        "watch.events",
        bootstrap_servers=servers,
        group_id=f"limit-{uuid.uuid4()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        while True:
            for records in (await consumer.getmany(timeout_ms=500, max_records=5_000)).values():
                progress.first()
                counted = 0
                for record in records:
                    for event in decode_lines(record.value):
                        counted += 1
                        if added := contribution(event):
                            counter, amount = added
                            day = event.event_ts // DAY_MS
                            rows[day, "video", event.video_id][counter] += amount
                            if event.channel_name:
                                rows[day, "channel", event.channel_name][counter] += amount
                progress.count(counted)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2])))
