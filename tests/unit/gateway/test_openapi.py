"""The OpenAPI document against the running gateway, by schemathesis."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from gateway import openapi
from gateway.app import app_runner, build_app, site
from gateway.daily_reader import Reader
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract.keys import daily_key
from streams.contract.rows import VIDEO, encode_row, row_of
from tests.unit.gateway.running import Gateway

SETTINGS = Settings()
schema = schemathesis.openapi.from_dict(openapi.document(SETTINGS))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway in a thread of its own, with a day to show."""
    started, ports, loop = threading.Event(), [], asyncio.new_event_loop()

    async def serve():
        reader = Reader(100)
        row = row_of(VIDEO, "2026-01-02", "v", [1, 2, 3, 4], None)
        reader.days.apply(VIDEO.topic, daily_key("2026-01-02", "video", "v"), encode_row(row, 5))
        reader.caught_up.set()
        runner = app_runner(build_app(SETTINGS, MemoryPublisher(), reader=reader))
        await runner.setup()
        await site(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        started.set()
        return runner

    def run():
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    yield f"http://127.0.0.1:{ports[0]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@schema.exclude(path="/live").parametrize()
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
def test_the_gateway_answers_as_its_document_says(case, url):
    case.call_and_validate(base_url=url, timeout=10)


async def test_the_document_is_served_and_has_every_path(gateway: Gateway):
    async with gateway.session.get(f"{gateway.url}/openapi.json") as response:
        document = json.loads(await response.text())

    assert document["openapi"].startswith("3.1")
    assert {"/ingest", "/enroll", "/health", "/ready", "/openapi.json", "/live", "/api/daily", "/api/days"} == set(
        document["paths"]
    )
