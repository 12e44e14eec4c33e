"""docs/gateway.md as a reader follows it: each block starts a gateway that does what the page says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiohttp import encode_basic_auth as basic_auth

from tests.document_shell import ROOT, blocks_of, environ_of
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

WITHIN_S = 30.0
TICK = {
    "schema": 1,
    "event_id": "e-1",
    "event_ts": 1_760_000_000_000,
    "event_type": "visibility_change",
    "client_session_id": "s",
    "tab_id": "t",
    "is_visible": True,
}


@contextmanager
def run(block: str, servers: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a block on free ports, its errors in a file; end it at the end, and what it started with it."""
    environ = environ_of(KAFKA_BOOTSTRAP_SERVERS=servers, GATEWAY_PORT="0", GATEWAY_METRICS_PORT="0")
    with (
        log.open("wb") as errors,
        subprocess.Popen(  # noqa: S603 - our own document
            ["/bin/bash", "-euc", block], cwd=ROOT, env=environ, stderr=errors, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def read(log: Path) -> str:
    """Return the whole lines that the gateway has logged."""
    text = log.read_text()
    return text[: text.rfind("\n") + 1]


async def port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port of the gateway, once the broker was reached."""

    async def listens() -> bool:
        said = read(log)
        assert process.poll() is None, said
        return "broker reached" in said and '"listening"' in said

    await until(listens, WITHIN_S)
    return int(next(json.loads(line)["port"] for line in read(log).splitlines() if '"listening"' in line))


async def test_a_public_gateway_gives_a_token_for_the_invite_code(fresh_topics: FreshTopics, tmp_path: Path) -> None:
    public = blocks_of("docs/gateway.md")[0]
    for folder in ("/etc/watchtime", "/var/lib/watchtime"):
        public = public.replace(folder, str(tmp_path / folder[1:]))
    # Tests listen on this machine only.
    public = public.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    log = tmp_path / "log"

    with run(public, await fresh_topics(), log) as process:
        url = f"http://127.0.0.1:{await port_of(process, log)}"
        host = {"Host": "watch.example.org"}
        async with aiohttp.ClientSession(url, headers=host) as session:
            async with session.post("/ingest", json=TICK) as refused:
                assert refused.status == 401
            async with session.post("/enroll", json={"invite": "some-invite-code"}) as enrolled:
                token = (await enrolled.json())["token"]
            async with session.post("/ingest", json=TICK, headers={"Authorization": f"Bearer {token}"}) as taken:
                assert (await taken.json())["accepted"] == 1
            async with session.get("/") as hidden:
                assert hidden.status == 401
            async with session.get("/", headers={"Authorization": basic_auth("me", "some-password")}) as shown:
                assert shown.status == 200


async def test_a_collector_is_taken_from_the_variable(fresh_topics: FreshTopics, tmp_path: Path) -> None:
    traced = blocks_of("docs/gateway.md")[1]

    with run(traced, await fresh_topics(), tmp_path / "log") as process:
        assert await port_of(process, tmp_path / "log") > 0
