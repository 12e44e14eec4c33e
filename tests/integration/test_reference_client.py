"""An extension written for the reference posts from the page itself, and must go on working as it is.

Its requests: a CORS preflight from youtube.com, then plain schema-1 posts, one event or a batch, without any of the
fields that this project adds.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build_app
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract import topics
from streams.contract.event import decode_line

PAGE = "https://www.youtube.com"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
    "Access-Control-Request-Private-Network": "true",
}

Client = TestClient[web.Request, web.Application]
Gateway = Callable[[str], Awaitable[tuple[Client, MemoryPublisher]]]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """`await gateway("*")`: a gateway with these CORS origins, and what it published."""
    clients: list[Client] = []

    async def make(origins: str) -> tuple[Client, MemoryPublisher]:
        publisher = MemoryPublisher()
        app = build_app(Settings.from_env({"GATEWAY_CORS_ORIGINS": origins}), publisher)
        client = TestClient(TestServer(app))
        clients.append(client)
        await client.start_server()
        return client, publisher

    yield make
    for client in clients:
        await client.close()


def event(number: int, event_type: str, **fields: object) -> dict[str, Any]:
    """Return an event as the reference's extension makes it."""
    return {
        "schema": 1,
        "event_id": f"6c5a1f0e-0000-4000-8000-{number:012}",
        "event_ts": time.time_ns() // 1_000_000,
        "event_type": event_type,
        "client_session_id": "5f9d7a52-6f6f-4a6e-9d3a-0d2f3f6f8c11",
        "tab_id": "1421",
        "tz_offset_min": -60,
        **fields,
    }


VIDEO = {
    "video_id": "dQw4w9WgXcQ",
    "video_session_id": "b7c1",
    "channel_name": "Rick Astley",
    "channel_url": "https://www.youtube.com/@RickAstleyYT",
    "channel_handle": "@RickAstleyYT",
    "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3s",
    "is_visible": True,
}
VISIT = [
    event(1, "video_start", **VIDEO),
    event(2, "player_state_change", **VIDEO, new_state="playing"),
    event(3, "watch_tick", **VIDEO, watch_ms_delta=10_000, watch_mode="foreground", player_state="playing"),
    event(4, "visibility_change", **VIDEO | {"is_visible": False}),
    event(5, "watch_tick", **VIDEO | {"is_visible": False}, watch_ms_delta=7_300, watch_mode="background"),
    event(6, "watch_tick", **VIDEO, watch_ms_delta=0),
    event(7, "context_missing", context_type="channel", url=VIDEO["url"]),
    event(8, "video_stop", **VIDEO, reason="navigate"),
]


@pytest.mark.parametrize("origins", ["*", PAGE])
async def test_its_requests_work_where_its_page_is_allowed(gateway: Gateway, origins: str) -> None:
    client, publisher = await gateway(origins)

    asked = await client.options("/ingest", headers=PREFLIGHT)
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] in {"*", PAGE}
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "content-type" in asked.headers["Access-Control-Allow-Headers"].lower()
    assert asked.headers["Access-Control-Allow-Private-Network"] == "true"

    for body in (VISIT[0], {"events": VISIT[1:]}):
        answer = await client.post("/ingest", json=body, headers={"Origin": PAGE})
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] in {"*", PAGE}
        reply = await answer.json()
        assert (reply["ok"], reply["rejected"], reply["errors"]) == (True, 0, [])

    lines = [line for record in publisher.records for line in record.value.splitlines()]
    assert {record.topic for record in publisher.records} == {topics.EVENTS}
    assert [json.loads(line)["event_id"] for line in lines] == [sent["event_id"] for sent in VISIT]
    assert [{name: json.loads(line)[name] for name in sent} for line, sent in zip(lines, VISIT, strict=True)] == VISIT
    assert all(decode_line(line) is not None for line in lines)


async def test_its_page_is_refused_unless_allowed(gateway: Gateway) -> None:
    client, publisher = await gateway("")

    answer = await client.post("/ingest", json=VISIT[0], headers={"Origin": PAGE})

    assert answer.status == 403
    assert publisher.records == []
