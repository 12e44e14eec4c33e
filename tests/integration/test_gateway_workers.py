"""Several gateway processes on one port: shared load, summed metrics, kills and stops."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from streams.provision import provision
from tests.integration.gateway_processes import event, event_ids
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
WORKERS = 3


@dataclass
class Gateway:
    """A parent with its workers."""

    process: psutil.Popen
    log: Path
    port: int = 0
    metrics_port: int = 0

    def logged(self, name: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [entry for entry in entries if entry["event"] == name]

    def pids(self) -> set[int]:
        """Workers that listen and live."""
        return {entry["pid"] for entry in self.logged("worker listening") if psutil.pid_exists(entry["pid"])}

    async def post(self, number: int) -> int:
        """Post an event on a connection of its own; repeat until somebody answers."""
        body = json.dumps(event("c", number)).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(f"http://127.0.0.1:{self.port}/ingest", data=body, headers=headers) as response,
                ):
                    return response.status
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> float:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as response,
        ):
            found = re.search(rf"^{re.escape(name)} (\S+)$", await response.text(), re.MULTILINE)
            return float(found[1]) if found else -1.0

    async def ready(self) -> bool:
        return await self.metric('watchtime_ready{stage="gateway"}') == 1.0


Start = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """`await start(bootstrap_servers, NAME=value)`: a gateway of three workers that listen."""
    gateways: list[Gateway] = []

    async def make(bootstrap_servers: str, **more: str) -> Gateway:
        log = tmp_path / f"gateway-{len(gateways)}.log"
        environ = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "GATEWAY_PORT": "0",
            "GATEWAY_METRICS_PORT": "0",
        }
        command = [sys.executable, "-m", "gateway", "--workers", str(WORKERS)]
        with log.open("wb") as out:
            gateway = Gateway(psutil.Popen(command, cwd=ROOT, env=environ | more, stderr=out), log)
        gateways.append(gateway)

        async def listen() -> bool:
            assert gateway.process.poll() is None, log.read_text()
            return len(gateway.pids()) == WORKERS

        await until(listen, WITHIN_S)
        said = gateway.logged("listening")[0]
        gateway.port, gateway.metrics_port = said["port"], said["metrics_port"]
        return gateway

    yield make
    for gateway in gateways:
        pids = gateway.pids()
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()
        for pid in pids:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)


async def test_workers_share_the_port_and_are_counted_together(fresh_topics: FreshTopics, start: Start):
    servers = await fresh_topics()
    gateway = await start(servers)
    await until(gateway.ready, WITHIN_S)

    answers = await asyncio.gather(*(gateway.post(number) for number in range(60)))

    assert answers == [200] * 60
    assert await gateway.metric('watchtime_gateway_answers_total{status="200"}') == 60
    assert await gateway.metric("watchtime_gateway_workers") == WORKERS
    assert sorted(await event_ids(servers)) == sorted(f"c-{number}" for number in range(60))
    gateway.process.terminate()
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert len(gateway.logged("stopped")) == WORKERS + 1
    assert not gateway.pids()


async def test_a_killed_worker_comes_back_and_nobody_is_refused_for_long(fresh_topics: FreshTopics, start: Start):
    servers = await fresh_topics()
    gateway = await start(servers)
    await until(gateway.ready, WITHIN_S)
    victim = min(gateway.pids())

    posting = asyncio.gather(*(gateway.post(number) for number in range(100)))
    os.kill(victim, signal.SIGKILL)

    async def is_back() -> bool:
        return victim not in gateway.pids() and len(gateway.pids()) == WORKERS

    await until(is_back, WITHIN_S)
    assert set(await posting) <= {200, 503}  # a worker that has just come has no broker yet
    await until(gateway.ready, WITHIN_S)
    assert await asyncio.gather(*(gateway.post(number) for number in range(100, 130))) == [200] * 30
    assert gateway.logged("a worker ended")[0]["code"] == -signal.SIGKILL


async def test_a_stop_lets_requests_of_all_workers_finish(fresh_broker, start: Start):
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start(broker.bootstrap_servers)
    await until(gateway.ready, WITHIN_S)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        waiting = [asyncio.create_task(gateway.post(number)) for number in range(30)]

        async def all_wait() -> bool:
            size = sum(len(json.dumps(event("c", number)).encode()) for number in range(30))
            return await gateway.metric("watchtime_gateway_in_flight_bytes") == size

        await until(all_wait, WITHIN_S)
        gateway.process.terminate()

        async def stopping() -> bool:
            return len(gateway.logged("stopping")) == WORKERS + 1

        await until(stopping, WITHIN_S)
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert await asyncio.gather(*waiting) == [200] * 30
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert len(await event_ids(broker.bootstrap_servers)) == 30


async def test_workers_do_not_outlive_their_parent(fresh_topics: FreshTopics, start: Start):
    gateway = await start(await fresh_topics())
    gateway.process.kill()

    async def gone() -> bool:
        return not gateway.pids()

    await until(gone, WITHIN_S)


def test_settings_that_no_worker_can_use_end_it(tmp_path: Path):
    environ = os.environ | {"GATEWAY_PORT": "0", "GATEWAY_METRICS_PORT": "0", "GATEWAY_AUTH": "on"}
    (tmp_path / "keys").write_text("no keys\n")
    environ |= {"GATEWAY_KEYS_FILE": str(tmp_path / "keys"), "GATEWAY_ENROLL": "open"}
    command = [sys.executable, "-m", "gateway", "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603

    assert done.returncode == 2
    assert "bad keys in GATEWAY_KEYS_FILE" in done.stderr
