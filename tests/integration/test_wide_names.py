"""A channel with the widest name that is allowed, from the gateway to rows, topic, files and query."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests import proof
from tests.stacks import StackFactory

#: 256 characters of four bytes each.
NAME = "🦉" * 256


@pytest.mark.slow
def test_a_channel_name_of_256_four_byte_characters(stack: StackFactory) -> None:
    running = stack("--shards", "2")
    now_ms = time.time_ns() // 1_000_000
    event = {
        "schema": 1,
        "event_id": "e",
        "event_ts": now_ms,
        "event_type": "watch_tick",
        "client_session_id": "c",
        "tab_id": "1",
        "video_id": "🦉" * 128,
        "video_session_id": "s",
        "channel_name": NAME,
        "watch_ms_delta": 7,
    }
    too_wide = event | {"event_id": "f", "channel_name": NAME + "🦉"}
    assert running.post([event, too_wide])["errors"] == [{"index": 1, "error": "channel_name too long"}]

    dt = time.strftime("%Y-%m-%d", time.gmtime(now_ms / 1_000))
    proof.reconcile_all(running, [dt])

    in_files, in_topic = proof.lake_rows(running), asyncio.run(proof.topic_rows(running))
    for rows in (in_files, in_topic):
        assert [(row["channel"], row["watch_ms"]) for row in rows["channel_daily", dt]] == [(NAME, 7)]
        assert [(row["video_id"], row["channel"]) for row in rows["video_daily", dt]] == [("🦉" * 128, NAME)]
    asked = running.watchtime("query", "--json", f"SELECT watch_ms FROM channel_daily WHERE channel = '{NAME}'")  # noqa: S608
    assert json.loads(asked.stdout) == [{"watch_ms": 7}]
