"""Several gateway processes on one port: shared load, summed metrics, kills and stops."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from streams.provision import provision
from tests.integration.gateway_processes import (  # noqa: F401 - the fixture
    TRIES,
    Gateway,
    Hang,
    StartGateway,
    event,
    event_ids,
    start_gateway_fixture,
)
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
WORKERS = 3


async def three_workers(start_gateway: StartGateway, bootstrap_servers: str) -> Gateway:
    """Return a gateway of three workers that are ready."""
    gateway = await start_gateway(bootstrap_servers, "--workers", str(WORKERS))

    async def listen() -> bool:
        assert gateway.process.poll() is None, gateway.log.read_text()
        return len(gateway.workers()) == WORKERS

    await until(listen, WITHIN_S)
    await ready(gateway)
    return gateway


async def ready(gateway: Gateway) -> None:
    async def all_are() -> bool:
        return await gateway.metric('watchtime_ready{stage="gateway"}') == 1.0

    await until(all_are, WITHIN_S)


async def post(gateway: Gateway, number: int) -> int:
    """Post an event on a connection of its own; repeat until somebody answers."""
    while True:
        try:
            async with aiohttp.ClientSession() as session:
                return (await dataclasses.replace(gateway, session=session).post(event("c", number)))[0]
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)


async def test_workers_share_the_port_and_are_counted_together(fresh_topics: FreshTopics, start_gateway: StartGateway):
    servers = await fresh_topics()
    gateway = await three_workers(start_gateway, servers)

    answers = await asyncio.gather(*(post(gateway, number) for number in range(60)))

    assert answers == [200] * 60
    assert await gateway.metric('watchtime_gateway_answers_total{status="200"}') == 60
    assert await gateway.metric("watchtime_gateway_workers") == WORKERS
    assert sorted(await event_ids(servers)) == sorted(f"c-{number}" for number in range(60))
    gateway.process.terminate()
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert len(gateway.logged("stopped")) == WORKERS + 1
    assert not gateway.workers()


async def test_a_killed_worker_comes_back_and_nobody_is_refused_for_long(
    fresh_topics: FreshTopics, start_gateway: StartGateway
):
    servers = await fresh_topics()
    gateway = await three_workers(start_gateway, servers)
    victim = min(gateway.workers())

    posting = asyncio.gather(*(post(gateway, number) for number in range(100)))
    os.kill(victim, signal.SIGKILL)

    async def is_back() -> bool:
        return victim not in gateway.workers() and len(gateway.workers()) == WORKERS

    await until(is_back, WITHIN_S)
    assert set(await posting) <= {200, 503}  # a worker that has just come has no broker yet
    await ready(gateway)
    assert await asyncio.gather(*(post(gateway, number) for number in range(100, 130))) == [200] * 30
    assert gateway.logged("a worker ended")[0]["code"] == -signal.SIGKILL


async def test_a_stop_lets_requests_of_all_workers_finish(fresh_broker, start_gateway: StartGateway):
    for _ in range(TRIES):
        broker = await fresh_broker()
        await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
        gateway = await three_workers(start_gateway, broker.bootstrap_servers)
        with contextlib.suppress(TimeoutError), Hang(broker) as hang:
            waiting = [asyncio.create_task(post(gateway, number)) for number in range(30)]
            await gateway.holds(sum(len(json.dumps(event("c", number))) for number in range(30)))
            gateway.process.terminate()
            await gateway.says("stopping", WORKERS + 1)
        if hang.short:
            break
    else:
        pytest.fail(f"in {TRIES} tries the broker never hung for less than a gateway waits: is the machine too busy?")

    assert await asyncio.gather(*waiting) == [200] * 30
    assert await asyncio.to_thread(gateway.process.wait, 20) == 0
    assert len(await event_ids(broker.bootstrap_servers)) == 30


async def test_workers_do_not_outlive_their_parent(fresh_topics: FreshTopics, start_gateway: StartGateway):
    gateway = await three_workers(start_gateway, await fresh_topics())
    gateway.process.kill()

    async def gone() -> bool:
        return not gateway.workers()

    await until(gone, WITHIN_S)


def test_settings_that_no_worker_can_use_end_it(tmp_path: Path):
    environ = os.environ | {"GATEWAY_PORT": "0", "GATEWAY_METRICS_PORT": "0", "GATEWAY_AUTH": "on"}
    (tmp_path / "keys").write_text("no keys\n")
    environ |= {"GATEWAY_KEYS_FILE": str(tmp_path / "keys"), "GATEWAY_ENROLL": "open"}
    command = [sys.executable, "-m", "gateway", "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603

    assert done.returncode == 2
    assert "bad keys in GATEWAY_KEYS_FILE" in done.stderr
