"""`python -m gateway` as a process of a test, events for it, and what it wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
import pytest

from deploy.local.broker import LocalBroker
from gateway.publish import ACK_TIMEOUT_S
from streams.contract import topics
from streams.provision import provision
from tests.integration.stream_workers import all_records, log_entries, reader, until

ROOT = Path(__file__).parents[2]
#: What the contract grants the gateway before it has stopped.
STOP_S = 10.0
#: What comes sooner or later in another process, and is waited for.
COMES_S = 60.0
#: How often a test that needs a `Hang` to be short may begin anew.
TRIES = 3


def event(client: str, number: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "event_id": f"{client}-{number}",
        "event_ts": 1_760_000_000_000,
        "event_type": "watch_tick",
        "client_session_id": client,
        "tab_id": "t",
        "video_id": "v",
        "video_session_id": "s",
        "watch_ms_delta": 1_000,
    }


@dataclass
class Gateway:
    """A gateway process and a session that talks to it."""

    process: subprocess.Popen[bytes]
    log: Path
    session: aiohttp.ClientSession
    port: int = 0
    metrics_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(self, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self.session.post(f"{self.url}/ingest", data=data, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, str]:
        port = self.metrics_port if path == "/metrics" else self.port
        async with self.session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text()

    async def holds(self, size: int) -> None:
        """Return when the gateway holds that many bytes of bodies."""

        async def held() -> bool:
            return await self.metric("watchtime_gateway_in_flight_bytes") == size

        await until(held, ACK_TIMEOUT_S)

    async def metric(self, name: str) -> float:
        """Return the value of a metric; -1 while there is none."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", (await self.get("/metrics"))[1], re.MULTILINE)
        return float(found[1]) if found else -1.0

    async def until(self, path: str, status: int, within_s: float = COMES_S) -> float:
        """Return the seconds until a path answers with a status."""
        started = time.monotonic()

        async def answers() -> bool:
            return (await self.get(path))[0] == status

        await until(answers, within_s)
        return time.monotonic() - started

    def logged(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in log_entries(self.log) if entry["event"] == name]

    async def says(self, name: str, times: int = 1) -> None:
        """Return when it, and its workers, have logged something so many times."""

        async def said() -> bool:
            return len(self.logged(name)) == times

        await until(said, COMES_S)

    def workers(self) -> set[int]:
        """Return the processes of its workers that listen and live."""
        return {entry["pid"] for entry in self.logged("worker listening") if psutil.pid_exists(entry["pid"])}

    async def stop(self) -> int:
        """Ask it to stop; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_S)


StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture(name="start_gateway")
async def start_gateway_fixture(tmp_path) -> AsyncIterator[StartGateway]:
    """`await start_gateway(bootstrap_servers, ARGUMENT…, NAME=value…)`: a gateway of the test's own that listens."""
    gateways: list[Gateway] = []
    # A line of /live is longer than what aiohttp reads as one by default.
    session = aiohttp.ClientSession(read_bufsize=1 << 20)

    async def start(bootstrap_servers: str, *arguments: str, **environ: str) -> Gateway:
        log = tmp_path / f"gateway-{len(gateways)}.log"
        address = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "GATEWAY_PORT": "0",
            "GATEWAY_METRICS_PORT": "0",
        }
        gateway = Gateway(spawn(os.environ | address | environ, log, *arguments), log, session)
        gateways.append(gateway)
        async with asyncio.timeout(COMES_S):
            while not (found := gateway.logged("listening")):
                assert gateway.process.poll() is None, log.read_text()
                await asyncio.sleep(0.02)
        gateway.port, gateway.metrics_port = found[0]["port"], found[0]["metrics_port"]
        return gateway

    yield start
    await session.close()
    for gateway in gateways:
        gateway.process.kill()
        gateway.process.wait()
        for pid in gateway.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def spawn(environ: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        command = [sys.executable, "-m", "gateway", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=out)  # noqa: S603


async def read_all(bootstrap_servers: str, topic: str) -> list[Any]:
    """Return all records of a topic."""
    async with reader(bootstrap_servers) as consumer:
        return await all_records(consumer, topic)


async def event_ids(bootstrap_servers: str) -> list[str]:
    """Return the ids of all events in the raw topic."""
    records = await read_all(bootstrap_servers, topics.EVENTS)
    return [json.loads(line)["event_id"] for record in records for line in record.value.split(b"\n")[:-1]]


class Hang:
    """`with Hang(broker) as hang:`: the broker answers nothing."""

    def __init__(self, broker: LocalBroker) -> None:
        self._pid = broker.pid

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        os.kill(self._pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)
        #: Whether it was over well before a gateway gives its broker up: a busy machine may have taken longer.
        self.short = time.monotonic() - self._started < ACK_TIMEOUT_S - 1


async def ready_gateway(broker: LocalBroker, start_gateway: StartGateway) -> Gateway:
    """Return a gateway that is ready, on a broker that has its topics by then."""
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    return gateway
