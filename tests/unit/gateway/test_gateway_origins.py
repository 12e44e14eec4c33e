"""Which pages of a browser are answered: preflights, CORS headers, names that were rebound."""

from __future__ import annotations

import json

import pytest

from tests.unit.gateway.running import VALID, Gateway


async def test_preflight(gateway: Gateway):
    headers = {
        "Origin": "chrome-extension://abc",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    async with gateway.session.options(f"{gateway.url}/ingest", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "chrome-extension://abc"
        assert response.headers["Vary"] == "Origin"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Access-Control-Allow-Private-Network"] == "true"
    async with gateway.session.options(f"{gateway.url}/ingest", headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_answers_to_pages_carry_cors_headers_refusals_too(start_gateway):
    gateway = await start_gateway(cors_origins=frozenset({"*"}))

    for body in (b"x", json.dumps(VALID).encode()):
        async with gateway.session.post(
            f"{gateway.url}/ingest",
            data=body,
            headers={"Content-Type": "application/json", "Origin": "https://www.youtube.com"},
        ) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"


async def test_two_origins_are_none_of_those_allowed(gateway: Gateway):
    headers = [("Origin", "chrome-extension://abc"), ("Origin", "https://evil.example")]
    async with gateway.session.get(f"{gateway.url}/health", headers=headers) as response:
        assert response.status == 403


@pytest.mark.parametrize("path", ["/ingest", "/health", "/ready", "/", "/nowhere"])
async def test_a_rebound_name_gets_nothing(gateway: Gateway, path):
    headers = {"Host": "rebound.example:4000", "Origin": "http://rebound.example:4000"}
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        assert response.status == 403
        assert False is (await response.json())["ok"]
