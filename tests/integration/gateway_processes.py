"""`python -m gateway` as a process of a test, events for it, and what it wrote."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from deploy.local.broker import LocalBroker
from streams.contract import topics
from streams.provision import provision
from tests.integration.stream_workers import until

ROOT = Path(__file__).parents[2]
#: What the contract grants a client before it hears 503.
ANSWER_S = 5.0
#: And the gateway before it has stopped.
STOP_S = 10.0
#: What comes sooner or later in another process, and is waited for.
COMES_S = 20.0


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
    port: int
    metrics_port: int
    session: aiohttp.ClientSession

    async def post(self, body: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        started = time.monotonic()
        async with self.session.post(f"http://127.0.0.1:{self.port}/ingest", data=data, headers=headers) as response:
            answer = await response.json()
        assert time.monotonic() - started < ANSWER_S
        return response.status, answer

    async def get(self, path: str) -> tuple[int, str]:
        port = self.metrics_port if path == "/metrics" else self.port
        async with self.session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text()

    async def holds(self, size: int) -> None:
        """Return when the gateway holds that many bytes of bodies."""
        await until(lambda: self._holds(size), COMES_S)

    async def _holds(self, size: int) -> bool:
        return f"watchtime_gateway_in_flight_bytes {float(size)}\n" in (await self.get("/metrics"))[1]

    async def until(self, path: str, status: int, within_s: float = COMES_S) -> float:
        """Return the seconds until a path answers with a status."""
        started = time.monotonic()

        async def answers() -> bool:
            return (await self.get(path))[0] == status

        await until(answers, within_s)
        return time.monotonic() - started

    def logged(self, name: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if entry["event"] == name]

    async def stop(self) -> int:
        """Ask it to stop; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_S)


StartGateway = Callable[[str], Awaitable[Gateway]]


@pytest.fixture(name="start_gateway")
async def start_gateway_fixture(tmp_path) -> AsyncIterator[StartGateway]:
    """`await start_gateway(bootstrap_servers)`: a gateway of the test's own that listens."""
    processes = []
    session = aiohttp.ClientSession()

    async def start(bootstrap_servers: str) -> Gateway:
        log = tmp_path / f"gateway-{len(processes)}.log"
        environ = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "GATEWAY_PORT": "0",
            "GATEWAY_METRICS_PORT": "0",
        }
        process = spawn(environ, log)
        processes.append(process)
        gateway = Gateway(process, log, 0, 0, session)
        async with asyncio.timeout(COMES_S):
            while not (found := gateway.logged("listening")):
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(0.02)
        gateway.port, gateway.metrics_port = found[0]["port"], found[0]["metrics_port"]
        return gateway

    yield start
    await session.close()
    for process in processes:
        process.kill()
        process.wait()


def spawn(environ: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", "gateway"], cwd=ROOT, env=environ, stderr=out)


async def read_all(bootstrap_servers: str, topic: str) -> list[Any]:
    """Return all records of a topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        records = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                records += (await consumer.getmany(partition, timeout_ms=1_000)).get(partition, [])
        return records
    finally:
        await consumer.stop()


async def event_ids(bootstrap_servers: str) -> list[str]:
    """Return the ids of all events in the raw topic."""
    records = await read_all(bootstrap_servers, topics.EVENTS)
    return [json.loads(line)["event_id"] for record in records for line in record.value.split(b"\n")[:-1]]


async def ready_gateway(broker: LocalBroker, start_gateway: StartGateway) -> Gateway:
    """Return a gateway that is ready, on a broker that has its topics by then."""
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    return gateway
