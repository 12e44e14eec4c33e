"""Lines that no gateway lets through, put straight into the topic: fold, archive and recount still say the same."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from streams.contract.days import DAY_MS, HOUR_MS, MAX_LATE_MS, dt_of_ms
from streams.contract.topics import EVENTS
from tests import proof
from tests.stacks import StackFactory

RECORDS = 400
ODD = (None, "", 0, 1.5, True, [], {"a": [1]}, "x", 2**63, -(2**63))
TEXTS = ("v1", "v2", "a|b", "\u0000", "é", "\u2028", "🦉", "2026-03-10|video|x|1")
BROKEN = (b"", b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"event_type":"watch_tick"}', b'{"a":NaN}', b"{}", b" {} ")


class Oddities:
    """Records of lines of one client each, drawn by a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._now = time.time_ns() // 1_000_000

    def record(self) -> tuple[bytes, bytes]:
        """Return key and value; the piece after the last line feed may be a line, too."""
        rng = self._rng
        client = f"odd{rng.randrange(20)}"
        lines = [self._line(client) for _ in range(rng.randrange(6))]
        return client.encode(), b"\n".join(lines) + rng.choice((b"\n", b"\n", b""))

    def _line(self, client: str) -> bytes:
        rng = self._rng
        if rng.random() < 0.15:
            return rng.choice(BROKEN)
        text = orjson.dumps(self._event(client))
        if rng.random() < 0.1:  # the last of two equal keys wins
            text = text[:-1] + b',"channel_name":"twice","received_at":%d}' % self._now
        return text

    def _event(self, client: str) -> dict[str, Any]:
        rng, now = self._rng, self._now
        event: dict[str, Any] = {
            "event_type": rng.choice(("watch_tick", "watch_tick", "video_start", "video_stop")),
            "event_ts": now + rng.choice((0, -HOUR_MS, -DAY_MS, 5 - MAX_LATE_MS, -MAX_LATE_MS - DAY_MS, DAY_MS)),
            "tab_id": "t",
            "event_id": f"e{rng.randrange(40)}",
            "client_id": client,
            "client_session_id": client,
            "video_id": rng.choice(TEXTS),
            "channel_name": rng.choice(TEXTS),
            "watch_ms_delta": rng.choice((1, 10, 59_999, 60_000, 60_001, 0, -1)),
            "received_at": now + rng.choice((0, 0, -30 * 60_000, 30 * 60_000, -2 * HOUR_MS, 2 * HOUR_MS)),
            "tz_offset_min": rng.choice((0, 120, -840, 841)),
        }
        if rng.random() < 0.5:
            event |= {"seq": rng.choice((rng.randrange(30), -1, 2**53)), "seq_epoch": rng.choice(("p", "q", ""))}
        for name in rng.sample([*event, "ad", "watch_mode", "unknown"], k=rng.randrange(3)):
            event[name] = rng.choice(ODD)
        for name in rng.sample(sorted(event), k=rng.randrange(2)):
            del event[name]
        # A client lives in one partition: a line without any id has no identity, which is well.
        if event.get("client_id") == "x" or event.get("client_session_id") == "x":
            event |= {"client_id": client}
        return event


@pytest.mark.timeout(240)
async def test_odd_lines_count_the_same_on_both_ways(stack: StackFactory) -> None:
    running = await asyncio.to_thread(stack, "--workers", "2", "--shards", "2")
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed={seed}")
    oddities = Oddities(seed)
    producer = AIOKafkaProducer(bootstrap_servers=running.endpoints["bootstrap_servers"])
    await producer.start()
    try:
        for _ in range(RECORDS):
            key, value = oddities.record()
            await producer.send(EVENTS, value, key=key)
        await producer.flush()
    finally:
        await producer.stop()

    today = time.time_ns() // 1_000_000
    for dt in (dt_of_ms(today), dt_of_ms(today - DAY_MS), dt_of_ms(today - 7 * DAY_MS)):
        finding = await asyncio.to_thread(proof.reconcile, running, dt)
        print(f"{dt}: drift={finding.get('drift')} rows={finding.get('rows')} events={finding.get('events')}")
        assert finding["exit"] == 0, json.dumps(finding, indent=1)
        assert finding["rows"] > 0
