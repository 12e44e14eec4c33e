"""A gateway with tokens as a process: what it logs, how it stops with viewers, keys that change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.forget import revoke_token
from gateway import keyring
from tests.integration.gateway_processes import (  # noqa: F401 - the fixture
    Gateway,
    StartGateway,
    start_gateway_fixture,
)
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

SECRETS = {"invite": "invite-4711", "password": "pass-4712", "name": "viewer-4713"}
#: What a log must not hold: ids, names and addresses of people, and secrets.
PERSONAL = ["session-5001", "video-5002", "Channel 5003", "youtube.com/watch", "event-5004", *SECRETS.values()]
WITHIN_S = 30.0


@dataclass
class Public:
    """A gateway that asks for tokens."""

    gateway: Gateway
    servers: str
    folder: Path

    async def post(self, path: str, body: Any, token: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.gateway.session.post(self.gateway.url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def enrolled(self) -> str:
        status, answer = await self.post("/enroll", {"invite": SECRETS["invite"]})
        assert status == 200
        return str(answer["token"])


def event(number: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "event_id": f"event-5004-{number}",
        "event_ts": 1_760_000_000_000,
        "event_type": "watch_tick",
        "client_session_id": "session-5001",
        "tab_id": "t",
        "video_id": "video-5002",
        "video_session_id": "s",
        "watch_ms_delta": 1_000,
        "channel_name": "Channel 5003",
        "url": "https://www.youtube.com/watch?v=video-5002",
    }


@pytest.fixture
async def public(fresh_topics: FreshTopics, start_gateway: StartGateway, tmp_path: Path) -> Public:
    assert keyring.main([str(tmp_path / "keys")]) == 0
    (tmp_path / "invites").write_text(SECRETS["invite"] + "\n")
    (tmp_path / "viewers").write_text(f"{SECRETS['name']}:{SECRETS['password']}\n")
    files = {f"GATEWAY_{name.upper()}_FILE": str(tmp_path / name) for name in ("keys", "invites", "revoked", "viewers")}
    servers = await fresh_topics()
    gateway = await start_gateway(servers, GATEWAY_ACCESS_LOG="on", GATEWAY_AUTH="on", **files)
    await gateway.until("/ready", 200)
    return Public(gateway, servers, tmp_path)


async def test_a_token_is_given_used_and_revoked_by_forget(public: Public, monkeypatch):
    token = await public.enrolled()
    assert (await public.post("/ingest", event(1)))[0] == 401
    assert (await public.post("/ingest", event(1), token))[0] == 200
    monkeypatch.setenv("GATEWAY_REVOKED_FILE", str(public.folder / "revoked"))

    assert "revoked" in revoke_token(token.split(".")[2])

    async def refused() -> bool:
        return (await public.post("/ingest", event(2), token))[0] == 401

    await until(refused, WITHIN_S)
    assert (await public.post("/ingest", event(2), await public.enrolled()))[0] == 200


async def test_keys_are_rotated_without_a_restart(public: Public):
    first = await public.enrolled()
    for _ in range(2):
        assert keyring.main([str(public.folder / "keys")]) == 0

    async def refused() -> bool:
        return (await public.post("/ingest", event(1), first))[0] == 401

    await until(refused, WITHIN_S)
    assert (await public.post("/ingest", event(1), await public.enrolled()))[0] == 200


async def test_logs_name_nobody_and_viewers_do_not_hold_up_a_stop(public: Public):
    gateway, token = public.gateway, await public.enrolled()
    await public.post("/ingest", {"events": [event(1), event(2) | {"schema": 9}, 5]}, token)
    await public.post("/ingest", event(3), token + "x")
    await public.post("/enroll", {"invite": "wrong"})
    auth = {"Authorization": aiohttp.encode_basic_auth(SECRETS["name"], SECRETS["password"])}
    async with gateway.session.get(f"{gateway.url}/api/daily", headers=auth) as response:
        assert (response.status, await response.json()) == (200, [])
    async with gateway.session.get(f"{gateway.url}/live", headers=auth) as stream:
        assert (await stream.content.readline()).startswith(b"id: ")

        assert await gateway.stop() == 0
    log, requests = gateway.log.read_text(), gateway.logged("request")
    assert {entry["route"] for entry in requests} == {"/ready", "/enroll", "/ingest", "/api/daily", "/live"}
    assert all(entry["request_id"] for entry in requests)
    assert set(re.findall(r"127\.0\.0\.1:\d+", log)) <= {public.servers, gateway.url.removeprefix("http://")}
    for text in (*PERSONAL, token, token.split(".")[2]):
        assert text not in log
