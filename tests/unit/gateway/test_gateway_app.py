"""The application over real sockets, with the in-memory publisher: events in, records and answers out."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from gateway.app import app_runner, build_app
from gateway.metrics import metrics_app
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract import topics
from streams.contract.event import MAX_BODY_BYTES
from tests.unit.gateway.cases import BODIES, body_of, named
from tests.unit.gateway.running import RECEIVED_AT, VALID, Gateway


async def test_an_event_is_published_with_the_gateways_fields_and_answered(gateway: Gateway):
    event = VALID | {"client_id": "forged", "received_at": 5, "extra": {"a": [1, "\u2028"]}}

    status, answer = await gateway.post(event)

    assert status == 200
    assert answer == {"ok": True, "accepted": 1, "rejected": 0, "errors": []}
    assert [event | {"client_id": "c-1", "received_at": RECEIVED_AT}] == gateway.lines()
    assert [record.key for record in gateway.records()] == [b"c-1"]


async def test_one_record_per_client(gateway: Gateway):
    clients = ["a", "b", "a", "ü", "b"]

    await gateway.post({"events": [VALID | {"client_session_id": c, "seq": n} for n, c in enumerate(clients)]})

    assert {b"a": [0, 2], b"b": [1, 4], "ü".encode(): [3]} == {
        record.key: [json.loads(line)["seq"] for line in record.value.split(b"\n")[:-1]] for record in gateway.records()
    }


@pytest.mark.parametrize("case", **named(BODIES["cases"]))
async def test_body_case(gateway: Gateway, case):
    status, answer = await gateway.post(body_of(case))

    assert case["status"] == status
    if status == 200:
        assert (case["accepted"], len(case["errors"])) == (answer["accepted"], answer["rejected"])
        assert case["errors"] == [[e["index"], e["error"]] for e in answer["errors"]]
        assert case["accepted"] == len(gateway.lines())
    else:
        assert answer["ok"] is False
        assert answer["error"]
        assert gateway.publisher.records == []
    if status == 400:
        assert answer == {"ok": False, "error": "Invalid JSON"}


async def test_500_events_that_fill_512_kib_to_the_byte(gateway: Gateway):
    empty = json.dumps({"events": [VALID | {"padding": ""}] * 500}, separators=(",", ":"))
    room, rest = divmod(MAX_BODY_BYTES - len(empty), 500)
    events = [VALID | {"padding": "x" * (room + (n < rest))} for n in range(500)]
    body = json.dumps({"events": events}, separators=(",", ":")).encode()
    assert len(body) == MAX_BODY_BYTES

    assert ((result := await gateway.post(body))[0], result[1]["accepted"]) == (200, 500)
    assert len(gateway.lines()) == 500
    assert (await gateway.post(body + b" "))[0] == 413


async def test_the_order_of_refusals(gateway: Gateway):
    bad_origin, bad_type = {"Origin": "https://evil.example"}, {"Content_Type": "text/plain"}
    too_long, many = b"x" * (MAX_BODY_BYTES + 1), b'{"events":[' + b"1," * 500 + b"1]}"
    gateway.publisher.ready = False

    assert (await gateway.post(too_long, **bad_origin, **bad_type))[0] == 403
    assert (await gateway.post(too_long, **bad_type))[0] == 415
    assert (await gateway.post(too_long))[0] == 413
    assert (await gateway.post(b"x"))[0] == 400
    assert (await gateway.post(many))[0] == 413
    assert (await gateway.post(VALID))[0] == 503
    assert (await gateway.post({}))[0] == 503  # the rejected event has to be taken down, too
    assert (await gateway.post({"events": []}))[0] == 200  # nothing to lose


async def test_503_says_to_come_back_and_nothing_is_counted(gateway: Gateway):
    gateway.publisher.ready = False

    async with gateway.session.post(f"{gateway.url}/ingest", json=VALID) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert False is (await response.json())["ok"]
    assert gateway.metric("watchtime_gateway_events_total", result="accepted") == 0


async def test_rejected_events_of_refused_requests_are_recorded_when_they_come_again(gateway: Gateway):
    """Or a broker that was away would have used up what may be recorded in a minute, and they would only be counted."""
    gateway.publisher.ready = False
    for _ in range(3):
        assert (await gateway.post({"events": [{}] * 60}))[0] == 503
    gateway.publisher.ready = True

    assert (await gateway.post({"events": [{}] * 100}))[0] == 200
    assert len(gateway.records(topics.REJECTED)) == 100
    assert (await gateway.post({}))[0] == 200
    assert len(gateway.records(topics.REJECTED)) == 100
    gateway.publisher.ready = False
    assert (await gateway.post({}))[0] == 503


async def test_the_answer_waits_for_the_acknowledgement(gateway: Gateway):
    gateway.publisher.open.clear()
    answer = asyncio.create_task(gateway.post(VALID))
    await gateway.holds(len(json.dumps(VALID)))
    done, _ = await asyncio.wait([answer], timeout=0.05)
    assert not done

    gateway.publisher.open.set()

    assert (await answer)[0] == 200
    await gateway.holds(0)


async def test_bodies_in_flight_have_a_limit(start_gateway):
    gateway = await start_gateway(max_in_flight_mib=1)
    gateway.publisher.open.clear()
    large = b"1" + b" " * (MAX_BODY_BYTES - 1)
    waiting = [asyncio.create_task(gateway.post(large)) for _ in range(2)]
    await gateway.holds(2 * MAX_BODY_BYTES)

    assert (await gateway.post(VALID))[0] == 503

    gateway.publisher.open.set()
    assert [(await task)[0] for task in waiting] == [200, 200]
    assert (await gateway.post(VALID))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/ingest/", 404),
        ("GET", "/ingest", 405),
        ("PUT", "/ingest", 405),
        ("POST", "/health", 405),
        ("GET", "/metrics", 404),
    ],
)
async def test_routes_answer_in_json(gateway: Gateway, method, path, status):
    headers = {"Accept": "text/html"}
    async with gateway.session.request(method, f"{gateway.url}{path}", headers=headers) as response:
        assert (status, "application/json") == (response.status, response.content_type)
        assert (status == 200) is (await response.json())["ok"]
        if status == 405:
            assert response.headers["Allow"]


async def test_readiness_follows_the_broker_and_health_does_not(gateway: Gateway):
    gateway.publisher.ready = False

    async with gateway.session.get(f"{gateway.url}/ready") as response:
        assert response.status == 503
    async with gateway.session.get(f"{gateway.url}/health") as response:
        assert response.status == 200
    assert gateway.metric("watchtime_ready", stage="gateway") == 0


class Broken(MemoryPublisher):
    """A publisher with a bug."""

    async def publish(self, records):
        raise ZeroDivisionError(len(records))


async def test_an_unexpected_error_is_a_plain_500():
    runner = app_runner(build_app(Settings(), Broken()))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://127.0.0.1:{runner.addresses[0][1]}/ingest", json=VALID, headers={"Accept": "text/html"}
            ) as response,
        ):
            assert (response.status, await response.json()) == (500, {"ok": False, "error": "Internal error"})
    finally:
        await runner.cleanup()


async def test_metrics(gateway: Gateway):
    await gateway.post({"events": [VALID, VALID, 1]})
    await gateway.post(b"x")

    assert gateway.metric("watchtime_gateway_events_total", result="accepted") == 2
    assert gateway.metric("watchtime_gateway_events_total", result="rejected") == 1
    assert gateway.metric("watchtime_gateway_rejected_events_total", reason="event is not an object") == 1
    assert gateway.metric("watchtime_gateway_answers_total", status="200") == 1
    assert gateway.metric("watchtime_gateway_answers_total", status="400") == 1
    assert gateway.metric("watchtime_gateway_answer_seconds_count") == 2
    assert gateway.metric("watchtime_ready", stage="gateway") == 1

    runner = web.AppRunner(metrics_app(gateway.metrics), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with gateway.session.get(f"http://127.0.0.1:{runner.addresses[0][1]}/metrics") as response:
        text = await response.text()
    await runner.cleanup()
    assert response.content_type == "text/plain"
    assert 'watchtime_ready{stage="gateway"} 1.0' in text
    assert "process_resident_memory_bytes" in text


async def test_rejected_events_are_published_with_their_reason(gateway: Gateway):
    await gateway.post({"events": [VALID | {"schema": 2}, 5]})

    (first, second) = gateway.records(topics.REJECTED)
    assert (first.key, second.key) == (b"c-1", None)
    assert json.loads(second.value) == {"reason": "event is not an object", "received_at": RECEIVED_AT, "event": "5"}
