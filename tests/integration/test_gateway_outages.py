"""A broker that comes late, dies, hangs or starts anew, under a gateway that does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.contract import topics
from streams.provision import provision
from tests.integration.gateway_processes import (  # noqa: F401 - the fixture
    COMES_S,
    Gateway,
    Hang,
    StartGateway,
    event,
    event_ids,
    ready_gateway,
    start_gateway_fixture,
)
from tests.integration.stream_workers import until

#: What the contract grants a client before it hears 503, 5 s, and what a busy machine adds.
ANSWER_S = 8.0


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


@pytest.mark.slow
async def test_kill_9_of_the_broker_under_load(fresh_broker, start_gateway: StartGateway):
    """Every answer comes in time, nothing acknowledged is lost, and the gateway goes on without a restart."""
    broker = await fresh_broker()
    gateway = await ready_gateway(broker, start_gateway)
    acknowledged: list[str] = []
    refused = 0
    over = asyncio.Event()

    async def view(client: str) -> None:
        """Post one event after the other; repeat each until it is taken."""
        nonlocal refused
        number = 0
        while not over.is_set():
            status = await answer_in_time(gateway, event(client, number))
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
    gateway = await ready_gateway(broker, start_gateway)

    with Hang(broker):
        assert set(await asyncio.gather(*(answer_in_time(gateway, event(f"c{n}", 1)) for n in range(50)))) == {503}
        assert (await gateway.get("/ready"))[0] == 503
        assert (await gateway.get("/health"))[0] == 200

    await gateway.until("/ready", 200)
    assert (await gateway.post(event("c", 2)))[0] == 200


async def test_topics_made_anew_under_a_running_gateway(fresh_broker, start_gateway: StartGateway):
    """The new topic knows nothing of the producer's sequence numbers; the gateway must not stay stuck on that."""
    broker = await fresh_broker()
    gateway = await ready_gateway(broker, start_gateway)
    for number in range(20):
        assert (await gateway.post(event("c", number)))[0] == 200

    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topics.EVENTS])

    async def gone() -> bool:
        return topics.EVENTS not in await admin.list_topics()

    await until(gone, COMES_S)
    await admin.create_topics([NewTopic(topics.EVENTS, 2, 1)])
    await admin.close()

    async def taken() -> bool:
        return (await gateway.post(event("d", 1)))[0] == 200

    await until(taken, COMES_S)
    for number in range(2, 20):
        assert (await gateway.post(event("d", number)))[0] == 200
    assert {f"d-{number}" for number in range(1, 20)} <= set(await event_ids(broker.bootstrap_servers))


async def answer_in_time(gateway: Gateway, body: dict[str, Any]) -> int:
    async with asyncio.timeout(ANSWER_S):
        return (await gateway.post(body))[0]


async def growth(items: list[str], by: int) -> None:
    """Return when a list has grown by so many items."""
    goal = len(items) + by
    async with asyncio.timeout(30):
        while len(items) < goal:  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.02)
