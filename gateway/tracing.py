"""Spans of POST /ingest and of its way to the broker, for OpenTelemetry. Only where an endpoint for them is set.

They hold method, route, status and counts, no ids of people and nothing of bodies. Nothing here is part of a gateway
without tracing: the handler and the publisher are wrapped, or not.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bound_contextvars, get_contextvars

from gateway.answers import Refusal
from gateway.intake import Record
from gateway.publish import Publisher
from streams.contract import topics
from streams.variables import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracing_of(environ: Mapping[str, str]) -> Tracing | None:
    """Return tracing as OpenTelemetry's own variables set it, None when they name no endpoint."""
    named = [name for name in ENDPOINTS if environ.get(name)]
    if not named or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if importlib.util.find_spec("opentelemetry") is None:
        raise SettingsError(f"{named[0]} is set, but OpenTelemetry is not installed: install the extra `otel`")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named_service = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or "watchtime-gateway"})
    provider = TracerProvider(resource=named_service)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Makes spans with a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self.tracer: Final = provider.get_tracer("watchtime.gateway")

    def handler(self, inner: Handler) -> Handler:
        """Return a handler of POST /ingest with a span around it, which goes on a trace that the request names."""
        from opentelemetry.propagate import extract  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, format_trace_id  # noqa: PLC0415

        async def traced(request: web.Request) -> web.StreamResponse:
            attributes = {
                "http.request.method": "POST",
                "http.route": "/ingest",
                "watchtime.request_id": str(get_contextvars().get("request_id", "")),
            }
            with self.tracer.start_as_current_span(
                "POST /ingest", extract(request.headers), SpanKind.SERVER, attributes, record_exception=False
            ) as span:
                try:
                    with bound_contextvars(trace_id=format_trace_id(span.get_span_context().trace_id)):
                        response = await inner(request)
                except Refusal as refusal:
                    span.set_attribute("http.response.status_code", refusal.status)
                    span.set_attribute("watchtime.refused", refusal.reason)
                    raise
                span.set_attribute("http.response.status_code", response.status)
                return response

        return traced

    def publisher(self, inner: Publisher) -> Publisher:
        """Return a publisher with a span around each publishing."""
        return _TracedPublisher(self, inner)

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Send what is left when the application ends."""
        yield
        await asyncio.to_thread(self._provider.shutdown)


class _TracedPublisher:
    """Hands on to a publisher."""

    def __init__(self, tracing: Tracing, inner: Publisher) -> None:
        self._tracing = tracing
        self._inner = inner

    @property
    def on_loss(self) -> Callable[[], None]:
        return self._inner.on_loss

    @on_loss.setter
    def on_loss(self, called: Callable[[], None]) -> None:
        self._inner.on_loss = called

    @property
    def ready(self) -> bool:
        return self._inner.ready

    async def start(self) -> None:
        await self._inner.start()

    async def publish(self, records: Sequence[Record]) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.destination.name": topics.EVENTS,
            "messaging.batch.message_count": len(records),
        }
        name = f"send {topics.EVENTS}"
        with self._tracing.tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes):
            await self._inner.publish(records)

    async def stop(self) -> None:
        await self._inner.stop()
