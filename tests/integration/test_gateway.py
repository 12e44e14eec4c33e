"""The gateway as a process against a real broker: acknowledgements, settings, clean stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket

import pytest

from streams.contract import topics
from streams.contract.event import MAX_BODY_BYTES
from streams.contract.keys import partition_of
from tests.integration.gateway_processes import (  # noqa: F401 - the fixture
    TRIES,
    Hang,
    StartGateway,
    event,
    event_ids,
    read_all,
    ready_gateway,
    spawn,
    start_gateway_fixture,
)


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


async def test_a_stop_lets_requests_in_flight_finish(fresh_broker, start_gateway: StartGateway):
    bodies = [json.dumps(event(f"c{n}", 1)).encode() for n in range(20)]
    for _ in range(TRIES):
        broker = await fresh_broker()
        gateway = await ready_gateway(broker, start_gateway)
        with contextlib.suppress(TimeoutError), Hang(broker) as hang:
            waiting = [asyncio.create_task(gateway.post(body)) for body in bodies]
            await gateway.holds(sum(map(len, bodies)))
            stopping = asyncio.create_task(gateway.stop())
            await gateway.says("stopping")
        if hang.short:
            break
    else:
        pytest.fail(f"in {TRIES} tries the broker never hung for less than a gateway waits: is the machine too busy?")

    assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 20
    assert await stopping == 0
    assert len(await event_ids(broker.bootstrap_servers)) == 20


async def test_a_stop_without_a_broker(fresh_broker, start_gateway: StartGateway):
    """A request in flight hears 503, and the process ends in time with 0."""
    broker = await fresh_broker()
    gateway = await ready_gateway(broker, start_gateway)
    body = json.dumps(event("c", 1)).encode()
    with Hang(broker):
        waiting = asyncio.create_task(gateway.post(body))
        await gateway.holds(len(body))

        assert await gateway.stop() == 0
        assert (await waiting)[0] == 503


@pytest.mark.parametrize(
    ("variable", "value"), [("GATEWAY_PORT", "many"), ("GATEWAY_HOST", "192.0.2.1"), ("GATEWAY_LAKE", "http://bucket")]
)
def test_wrong_settings_end_it_with_a_message(tmp_path, variable, value):
    log = tmp_path / "log"

    assert spawn(os.environ | {variable: value}, log).wait(20) == 2
    assert variable in json.loads(log.read_text())["why"]


def test_a_taken_port_ends_it_with_a_message(tmp_path):
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert spawn(os.environ | {"GATEWAY_PORT": port, "GATEWAY_METRICS_PORT": "0"}, log).wait(20) == 1
    assert port in json.loads(log.read_text().splitlines()[-1])["why"]
