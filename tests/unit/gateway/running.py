"""A running gateway with the in-memory publisher behind it, as tests see it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from gateway.access import Access
from gateway.connections import Connections
from gateway.daily_reader import Reader
from gateway.intake import Record
from gateway.metrics import Metrics
from gateway.publish import MemoryPublisher
from streams.contract import topics

RECEIVED_AT = 1_760_000_123_456

VALID = {
    "schema": 1,
    "event_id": "e-1",
    "event_ts": 1_760_000_000_000,
    "event_type": "watch_tick",
    "client_session_id": "c-1",
    "tab_id": "t-1",
    "video_id": "dQw4w9WgXcQ",
    "video_session_id": "vs-1",
    "watch_ms_delta": 10_000,
}


@dataclass
class Gateway:
    """A running gateway as a test sees it."""

    port: int
    publisher: MemoryPublisher
    metrics: Metrics
    session: aiohttp.ClientSession
    access: Access
    connections: Connections
    reader: Reader

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Post a body (bytes as they are, all else as JSON); return status and answer."""
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(
            f"{self.url}/ingest", data=data, headers={"Content-Type": "application/json", **names}
        ) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()

    @asynccontextmanager
    async def wire(self, *headers: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which the headers of a POST of JSON have been sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = ["POST /ingest HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()

    async def holds(self, size: int) -> None:
        """Return when the gateway holds that many bytes of bodies."""
        await _until(lambda: self.metric("watchtime_gateway_in_flight_bytes") == size)

    async def counts(self, reason: str) -> None:
        """Return when a refusal with this reason was counted."""
        await _until(lambda: self.metric("watchtime_gateway_refusals_total", reason=reason))

    async def alone(self) -> None:
        """Return when nobody is connected any more."""
        await _until(lambda: not self.connections._guarded)

    def records(self, topic: str = topics.EVENTS) -> list[Record]:
        return [record for record in self.publisher.records if record.topic == topic]

    def lines(self) -> list[dict[str, Any]]:
        """All published events, parsed."""
        return [json.loads(line) for record in self.records() for line in record.value.decode().split("\n")[:-1]]

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - a gauge has no event
            await asyncio.sleep(0.001)
