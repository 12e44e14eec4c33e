"""Spans, as a collector of OpenTelemetry's protocol gets them over a real socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway import tracing
from gateway.tracing import tracing_of
from streams.variables import SettingsError
from tests.unit.gateway.running import VALID

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            attributes = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            self.services.add(attributes["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    async def holds(self, count: int) -> None:
        while len(self.spans) < count:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.01)


def attributes(span: Any) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


async def test_a_post_and_its_way_to_the_broker_are_spans(start_gateway, monkeypatch):
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        gateway = await start_gateway(tracing=tracing_of(os.environ))

        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X_Request_Id": "of-a-proxy"}
        assert (await gateway.post({"events": [VALID, {}]}, **headers))[0] == 200
        assert (await gateway.post(b"no JSON"))[0] == 400
        gateway.publisher.ready = False
        assert (await gateway.post(VALID))[0] == 503
        assert (await gateway.session.get(f"{gateway.url}/health")).status == 200
        async with asyncio.timeout(20):
            await collector.holds(5)

    first, second, third = collector.named("POST /ingest")
    sent, failed = collector.named("send watch.events")
    assert collector.services == {"watchtime-gateway"}
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert sent.parent_span_id == first.span_id
    assert failed.parent_span_id == third.span_id
    assert attributes(first) == {
        "http.request.method": "POST",
        "http.route": "/ingest",
        "http.response.status_code": 200,
        "watchtime.request_id": "of-a-proxy",
    }
    assert attributes(second)["watchtime.refused"] == "json"
    assert attributes(third)["http.response.status_code"] == 503
    assert attributes(sent)["messaging.batch.message_count"] == 2
    text = repr(collector.spans)
    assert not [value for value in VALID.values() if isinstance(value, str) and len(value) > 3 and value in text]


def test_it_is_off_unless_an_endpoint_is_set():
    assert tracing_of({}) is None
    assert tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    assert tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}) is None


def test_without_the_packages_the_way_to_get_them_is_told(monkeypatch):
    monkeypatch.setattr(tracing.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(SettingsError, match="install the extra `otel`"):
        tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
