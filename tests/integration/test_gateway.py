"""The gateway as a process against a real broker: acknowledgements, the broker's absence, clean stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
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
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.contract import topics
from streams.contract.event import MAX_BODY_BYTES
from streams.contract.keys import partition_of
from streams.provision import provision

ROOT = Path(__file__).parents[2]
#: What the contract grants a client before it hears 503, and the gateway before it has stopped.
ANSWER_S = 5.0
STOP_S = 10.0


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
        await true(lambda: self._holds(size))

    async def _holds(self, size: int) -> bool:
        return f"watchtime_gateway_in_flight_bytes {float(size)}\n" in (await self.get("/metrics"))[1]

    async def until(self, path: str, status: int, within_s: float = 20.0) -> float:
        """Return the seconds until a path answers with a status."""
        started = time.monotonic()

        async def answers() -> bool:
            return (await self.get(path))[0] == status

        await true(answers, within_s)
        return time.monotonic() - started

    def logged(self, name: str) -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if entry["event"] == name]

    async def stop(self) -> int:
        """Ask it to stop; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_S)


StartGateway = Callable[[str], Awaitable[Gateway]]


@pytest.fixture
async def start_gateway(tmp_path) -> AsyncIterator[StartGateway]:
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
        async with asyncio.timeout(20):
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


async def test_accepted_and_rejected_events_are_in_their_topics(fresh_topics, start_gateway: StartGateway):
    bootstrap_servers = await fresh_topics(partitions=4)
    gateway = await start_gateway(bootstrap_servers)
    await gateway.until("/ready", 200)
    clients = [f"client-{n}-é" for n in range(20)]

    for number, client in enumerate(clients):
        assert (await gateway.post({"events": [event(client, number), event(client, number + 100), {}]}))[0] == 200

    records = await read_all(bootstrap_servers, topics.EVENTS)
    assert sorted(record.key.decode() for record in records) == sorted(clients)
    assert {record.partition for record in records} == {0, 1, 2, 3}
    for record in records:
        assert record.partition == partition_of(record.key, 4)
        lines = [json.loads(line) for line in record.value.split(b"\n")[:-1]]
        assert [line["client_id"] for line in lines] == [record.key.decode()] * 2
        assert all(abs(line["received_at"] - record.timestamp) < 10_000 for line in lines)
    rejected = await read_all(bootstrap_servers, topics.REJECTED)
    assert len(rejected) == 20
    assert json.loads(rejected[0].value)["reason"] == "missing schema"
    assert 'watchtime_ready{stage="gateway"} 1.0' in (await gateway.get("/metrics"))[1]


async def test_a_full_body_in_one_record(fresh_topics, start_gateway: StartGateway):
    """Numbers that grow when written again make it larger than a batch of the producer usually is."""
    bootstrap_servers = await fresh_topics()
    gateway = await start_gateway(bootstrap_servers)
    await gateway.until("/ready", 200)
    wide = json.dumps(event("wide", 1))[:-1] + f',"x":[{",".join(["1e15"] * 800)}]}}'
    count = (MAX_BODY_BYTES - 20) // (len(wide) + 1)
    body = f'{{"events":[{",".join([wide] * count)}]}}'.encode()

    answers = await asyncio.gather(*(gateway.post(body) for _ in range(8)))

    assert [status for status, _ in answers] == [200] * 8
    records = await read_all(bootstrap_servers, topics.EVENTS)
    assert len(records) == 8
    assert len(records[0].value) > 1024 * 1024
    assert not gateway.logged("broker lost")


async def test_the_broker_may_come_later(fresh_broker, start_gateway: StartGateway):
    broker = await fresh_broker()
    broker.stop()
    gateway = await start_gateway(broker.bootstrap_servers)

    assert (await gateway.get("/health"))[0] == 200
    assert (await gateway.get("/ready"))[0] == 503
    status, answer = await gateway.post(event("c", 1))
    assert (status, answer["ok"]) == (503, False)

    await broker.start()
    assert (await gateway.get("/ready"))[0] == 503  # there are no topics yet
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    await gateway.until("/ready", 200)
    assert (await gateway.post(event("c", 1)))[0] == 200
    assert await event_ids(broker.bootstrap_servers) == ["c-1"]


async def test_kill_9_of_the_broker_under_load(fresh_broker, start_gateway: StartGateway):
    """Every answer comes in time, nothing acknowledged is lost, and the gateway goes on without a restart."""
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    acknowledged: list[str] = []
    refused = 0
    over = asyncio.Event()

    async def view(client: str) -> None:
        """Post one event after the other; repeat each until it is taken."""
        nonlocal refused
        number = 0
        while not over.is_set():
            status, _ = await gateway.post(event(client, number))
            if status == 200:
                acknowledged.append(f"{client}-{number}")
                number += 1
            else:
                assert status == 503
                refused += 1
                await asyncio.sleep(0.05)

    viewers = [asyncio.create_task(view(f"c{n}")) for n in range(20)]
    for _ in range(3):
        await growth(acknowledged, 200)
        broker.kill()
        await gateway.until("/ready", 503)
        await broker.start()
        await gateway.until("/ready", 200)
    await growth(acknowledged, 200)
    over.set()
    await asyncio.gather(*viewers)

    assert refused
    assert gateway.process.poll() is None
    kept = set(await event_ids(broker.bootstrap_servers))
    assert set(acknowledged) - kept == set()
    assert not gateway.logged("unexpected error")


async def test_a_broker_that_hangs(fresh_broker, start_gateway: StartGateway):
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)

    os.kill(broker.pid, signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*(gateway.post(event(f"c{n}", 1)) for n in range(50)))
        assert {status for status, _ in answers} == {503}
        assert (await gateway.get("/ready"))[0] == 503
        assert (await gateway.get("/health"))[0] == 200
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    await gateway.until("/ready", 200)
    assert (await gateway.post(event("c", 2)))[0] == 200


async def test_topics_made_anew_under_a_running_gateway(fresh_broker, start_gateway: StartGateway):
    """The new topic knows nothing of the producer's sequence numbers; the gateway must not stay stuck on that."""
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    for number in range(20):
        assert (await gateway.post(event("c", number)))[0] == 200

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topics.EVENTS])

    async def gone() -> bool:
        return topics.EVENTS not in await admin.list_topics()

    await true(gone)
    await admin.create_topics([NewTopic(topics.EVENTS, 2, 1)])
    await admin.close()

    async def taken() -> bool:
        return (await gateway.post(event("d", 1)))[0] == 200

    await true(taken)
    for number in range(2, 20):
        assert (await gateway.post(event("d", number)))[0] == 200
    assert {f"d-{number}" for number in range(1, 20)} <= set(await event_ids(broker.bootstrap_servers))


async def test_a_stop_lets_requests_in_flight_finish(fresh_broker, start_gateway: StartGateway):
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        bodies = [json.dumps(event(f"c{n}", 1)).encode() for n in range(20)]
        waiting = [asyncio.create_task(gateway.post(body)) for body in bodies]
        await gateway.holds(sum(map(len, bodies)))
        stopping = asyncio.create_task(gateway.stop())
        await true(lambda: asyncio.to_thread(gateway.logged, "stopping"))
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 20
    assert await stopping == 0
    assert len(await event_ids(broker.bootstrap_servers)) == 20


async def test_a_stop_without_a_broker(fresh_broker, start_gateway: StartGateway):
    """A request in flight hears 503, and the process ends in time with 0."""
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 4, 1, replication=1, client_table=False)
    gateway = await start_gateway(broker.bootstrap_servers)
    await gateway.until("/ready", 200)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        body = json.dumps(event("c", 1)).encode()
        waiting = asyncio.create_task(gateway.post(body))
        await gateway.holds(len(body))

        assert await gateway.stop() == 0
        assert (await waiting)[0] == 503
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.parametrize(("variable", "value", "code"), [("GATEWAY_PORT", "many", 2), ("GATEWAY_HOST", "192.0.2.1", 2)])
def test_wrong_settings_end_it_with_a_message(tmp_path, variable, value, code):
    log = tmp_path / "log"

    assert spawn(os.environ | {variable: value}, log).wait(20) == code
    assert variable in json.loads(log.read_text())["why"]


def test_a_taken_port_ends_it_with_a_message(tmp_path):
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert spawn(os.environ | {"GATEWAY_PORT": port, "GATEWAY_METRICS_PORT": "0"}, log).wait(20) == 1
    assert port in json.loads(log.read_text().splitlines()[-1])["why"]


async def growth(items: list[str], by: int) -> None:
    """Return when a list has grown by so many items."""
    goal = len(items) + by
    async with asyncio.timeout(30):
        while len(items) < goal:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.02)


async def true(condition: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Return when a condition in another process holds."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.02)
