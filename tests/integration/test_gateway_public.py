"""A gateway with tokens as a process: what it logs, how it stops with viewers, keys that change."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.forget import revoke_token
from gateway import keyring
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

ROOT = Path(__file__).parents[2]
SECRETS = {"invite": "invite-4711", "password": "pass-4712", "name": "viewer-4713"}
#: What a log must not hold: ids, names and addresses of people, and secrets.
PERSONAL = ["session-5001", "video-5002", "Channel 5003", "youtube.com/watch", "event-5004", *SECRETS.values()]
WITHIN_S = 30.0


@dataclass
class Public:
    """A gateway that asks for tokens."""

    process: subprocess.Popen[bytes]
    log: Path
    folder: Path
    url: str
    session: aiohttp.ClientSession

    async def post(self, path: str, body: Any, token: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.post(self.url + path, json=body, headers=headers) as response:
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
async def public(fresh_topics: FreshTopics, tmp_path: Path) -> AsyncIterator[Public]:
    assert keyring.main([str(tmp_path / "keys")]) == 0
    (tmp_path / "invites").write_text(SECRETS["invite"] + "\n")
    (tmp_path / "viewers").write_text(f"{SECRETS['name']}:{SECRETS['password']}\n")
    environ = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": await fresh_topics(),
        "GATEWAY_PORT": "0",
        "GATEWAY_METRICS_PORT": "0",
        "GATEWAY_ACCESS_LOG": "on",
        "GATEWAY_AUTH": "on",
        "GATEWAY_KEYS_FILE": str(tmp_path / "keys"),
        "GATEWAY_INVITES_FILE": str(tmp_path / "invites"),
        "GATEWAY_REVOKED_FILE": str(tmp_path / "revoked"),
        "GATEWAY_VIEWERS_FILE": str(tmp_path / "viewers"),
    }
    log = tmp_path / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "gateway"], cwd=ROOT, env=environ, stderr=out)  # noqa: ASYNC220

    async def listens() -> bool:
        assert process.poll() is None, log.read_text()
        return "broker reached" in log.read_text() and "listening" in log.read_text()

    await until(listens, WITHIN_S)
    port = next(json.loads(line)["port"] for line in log.read_text().splitlines() if '"listening"' in line)
    async with aiohttp.ClientSession() as session:
        yield Public(process, log, tmp_path, f"http://127.0.0.1:{port}", session)
    process.kill()
    process.wait()


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
    token = await public.enrolled()
    await public.post("/ingest", {"events": [event(1), event(2) | {"schema": 9}, 5]}, token)
    await public.post("/ingest", event(3), token + "x")
    await public.post("/enroll", {"invite": "wrong"})
    auth = {"Authorization": aiohttp.encode_basic_auth(SECRETS["name"], SECRETS["password"])}
    async with public.session.get(f"{public.url}/api/daily", headers=auth) as response:
        assert (response.status, await response.json()) == (200, [])
    async with public.session.get(f"{public.url}/live", headers=auth) as stream:
        assert (await stream.content.readline()).startswith(b"id: ")

        public.process.terminate()

        assert await asyncio.to_thread(public.process.wait, 10) == 0
    log = public.log.read_text()
    requests = [entry for entry in map(json.loads, log.splitlines()) if entry["event"] == "request"]
    assert {entry["route"] for entry in requests} == {"/enroll", "/ingest", "/api/daily", "/live"}
    assert all(entry["request_id"] for entry in requests)
    for text in (*PERSONAL, token, token.split(".")[2], "127.0.0.1:5"):
        assert text not in log
