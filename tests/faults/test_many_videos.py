"""A client that sends a million distinct videos: slow for its rows, but right, and no process grows beyond its room.

WATCHTIME_MANY_VIDEOS (1,000,000) says how many.
"""

from __future__ import annotations

import asyncio
import os
import time

import aiohttp
import orjson
import pytest

from tests import proof
from tests.bench.machine import peak_mb
from tests.stacks import Stack, StackFactory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]
VIDEOS = int(os.environ.get("WATCHTIME_MANY_VIDEOS", "1000000"))
BATCH = 500
SENDERS = 4
#: What a process may hold at its highest, MiB.
ROOM_MIB = 2_048
STAGES = ("gateway-0", "streams-0", "sinks-0")


def test_a_client_with_a_million_videos(stack: StackFactory) -> None:
    running = stack("--refresh-s", "10")
    now_ms = time.time_ns() // 1_000_000
    began = time.monotonic()

    asyncio.run(send_all(running, now_ms))
    sent_s = time.monotonic() - began
    finding = proof.reconcile(running, time.strftime("%Y-%m-%d", time.gmtime(now_ms / 1_000)), wait_s=600)
    told_s = time.monotonic() - began

    held = {name: round(peak_mb(running.pids[name])) for name in STAGES}
    print(
        f"videos={VIDEOS} sent in {sent_s:.0f} s, all in files and reconciled after {told_s:.0f} s, "
        f"drift={finding.get('drift')} rows={finding.get('rows')} peak MiB: {held}"
    )
    assert finding["exit"] == 0, finding
    assert finding["events"] == VIDEOS
    # Beside the videos: the channel, the hour and the day.
    assert finding["rows"] == VIDEOS + 3
    assert max(held.values()) < ROOM_MIB


async def send_all(running: Stack, now_ms: int) -> None:
    """Post every video once, in the greatest bodies that the gateway takes."""
    numbers = iter(range(0, VIDEOS, BATCH))
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def sender() -> None:
            for first in numbers:
                events = [tick(number, now_ms) for number in range(first, min(first + BATCH, VIDEOS))]
                body = orjson.dumps({"events": events})
                async with session.post(f"{running.gateway}/ingest", data=body) as answer:
                    assert (await answer.json())["accepted"] == len(events)

        await asyncio.gather(*(sender() for _ in range(SENDERS)))


def tick(number: int, now_ms: int) -> dict[str, object]:
    return {
        "schema": 1,
        "event_id": f"e{number}",
        "event_ts": now_ms,
        "event_type": "watch_tick",
        "client_session_id": "somebody",
        "tab_id": "1",
        "video_id": f"v{number:010}",
        "video_session_id": "s",
        "channel_name": "one of many",
        "watch_ms_delta": 1_000,
        "seq": number,
        "seq_epoch": "e",
    }
