"""The OpenAPI document against the running gateway, by schemathesis."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from gateway import openapi
from gateway.settings import Settings
from streams.contract.rows import VIDEO
from tests.background_loop import BackgroundLoop
from tests.live_gateway import LiveGateway
from tests.unit.gateway.running import Gateway

SETTINGS = Settings()
schema = schemathesis.openapi.from_dict(openapi.document(SETTINGS))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway with a day to show."""
    background = BackgroundLoop()
    gateway = LiveGateway(background)
    gateway.put(VIDEO, "v", [1, 2, 3, 4], dt="2026-01-02")
    yield gateway.url
    gateway.stop()
    background.stop()


@schema.exclude(path=["/live", "/metrics"]).parametrize()
@hypothesis_settings(max_examples=30, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_the_gateway_answers_as_its_document_says(case, url):
    case.call_and_validate(base_url=url, timeout=10)


async def test_the_document_is_served_and_has_every_path(gateway: Gateway):
    async with gateway.session.get(f"{gateway.url}/openapi.json") as response:
        document = json.loads(await response.text())

    assert document["openapi"].startswith("3.1")
    assert document["paths"]["/metrics"].pop("servers") == [{"url": "http://127.0.0.1:4001"}]
    assert {path: {*methods} for path, methods in document["paths"].items()} == {
        "/": {"get"},
        "/ingest": {"post", "options"},
        "/enroll": {"post", "options"},
        **{
            path: {"get"}
            for path in ("/health", "/ready", "/openapi.json", "/metrics", "/live", "/api/daily", "/api/days")
        },
    }
