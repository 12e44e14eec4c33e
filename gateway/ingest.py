"""POST /ingest: from a request to its answer.

The answer 200 is given only after the broker acknowledged accepted and rejected events alike. Refusals come in a
fixed order: origin and host (403, before this module), token (401), media type (415), rate (429), size (413), JSON
(400), number of events (413), broker (503).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.access import Access
from gateway.answers import JsonAnswer, Refusal
from gateway.body import InvalidJsonError, read_batch
from gateway.intake import Intake, RejectedLimit, sort_batch
from gateway.metrics import Metrics
from gateway.publish import Publisher, UnavailableError
from gateway.settings import Settings
from streams.contract.event import MAX_BATCH_EVENTS, MAX_BODY_BYTES

_TOO_LARGE: Final = f"Body too large: at most {MAX_BODY_BYTES} bytes"


class Ingest:
    """The handler of POST /ingest and what it shares between requests."""

    def __init__(
        self,
        publisher: Publisher,
        metrics: Metrics,
        access: Access,
        settings: Settings,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._access = access
        self._body_timeout_s = settings.body_timeout_s
        self._max_in_flight_bytes = settings.max_in_flight_mib * 1024 * 1024
        self._in_flight_bytes = 0
        self._rejected_limit = RejectedLimit()
        self._clock_ns = clock_ns
        metrics.in_flight_bytes.set_function(lambda: self._in_flight_bytes)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a Refusal is raised, its answer made elsewhere."""
        received_at = self._clock_ns() // 1_000_000
        install = self._access.install_of(request)
        demand_json(request)
        self._access.throttle(request, install)
        held = _Held()
        try:
            # Body and parsed events are let go before the broker is waited for: they may be many times the records.
            intake = self._judge(await self._read(request, held), received_at, install)
            return await self._publish(intake)
        finally:
            self._in_flight_bytes -= held.size

    def _judge(self, body: bytes, received_at: int, install: str | None) -> Intake:
        try:
            batch = read_batch(body)
        except InvalidJsonError as error:
            raise Refusal(400, "Invalid JSON", "json") from error
        if len(batch.events) > MAX_BATCH_EVENTS:
            advice = f"Too many events: {len(batch.events)}, at most {MAX_BATCH_EVENTS} in a request"
            raise Refusal(413, advice, "events")
        return sort_batch(batch, received_at, self._rejected_limit, time.monotonic(), install)

    async def _publish(self, intake: Intake) -> web.StreamResponse:
        ready = self._publisher.ready
        # Events that only count still wait for a broker that takes events: to a client, 200 means that there is one.
        if intake.records or (intake.unrecorded and not ready):
            try:
                await self._publisher.publish(intake.records)
            except UnavailableError as error:
                if not ready:  # else they may have been written
                    self._rejected_limit.give_back(len(intake.rejected) - intake.unrecorded)
                advice = "The broker does not take events now; keep them and repeat the request"
                raise Refusal(503, advice, "broker") from error
        self._metrics.count_intake(intake)
        return JsonAnswer(200, intake.answer())

    async def _read(self, request: web.Request, held: _Held) -> bytes:
        """Return the body, at most MAX_BODY_BYTES of it, and account for its bytes while they arrive."""
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise Refusal(413, _TOO_LARGE, "body_bytes")
        if request.content.is_eof():  # all of it came with the headers
            return await self._read_chunks(request, held)
        try:
            async with asyncio.timeout(self._body_timeout_s):
                return await self._read_chunks(request, held)
        except TimeoutError as error:
            raise Refusal(408, f"The body did not arrive within {self._body_timeout_s:g} s", "body_time") from error

    async def _read_chunks(self, request: web.Request, held: _Held) -> bytes:
        chunks = []
        while chunk := await request.content.readany():
            held.size += len(chunk)
            self._in_flight_bytes += len(chunk)
            if held.size > MAX_BODY_BYTES:
                raise Refusal(413, _TOO_LARGE, "body_bytes")
            if self._in_flight_bytes > self._max_in_flight_bytes:
                raise Refusal(503, "Too much is under way; keep the events and repeat the request", "in_flight")
            chunks.append(chunk)
        return b"".join(chunks)


class _Held:
    """Bytes of one request's body that count as in flight."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


def demand_json(request: web.Request) -> None:
    """Refuse a body that is not plain JSON: what a web page can post to any address without being asked is not."""
    headers = request.headers
    if "Content-Encoding" in headers:
        raise Refusal(415, "Content-Encoding is not supported: send the body as it is", "media_type")
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(415, "Content-Type must be application/json", "media_type")
