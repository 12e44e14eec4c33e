"""The application over real sockets, with the in-memory publisher."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import http.client
import json
import threading

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.answers import json_answer
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


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413), (10_000_000, 413)])
async def test_chunked_bodies_have_the_same_limit(gateway: Gateway, size, status):
    async def chunks():
        left = size - 1
        yield b"1"
        while left:
            part = min(left, 50_000)
            yield b" " * part
            left -= part

    headers = {"Content-Type": "application/json"}
    async with gateway.session.post(f"{gateway.url}/ingest", data=chunks(), headers=headers) as response:
        assert status == response.status


async def test_a_body_of_10_mb_is_refused_and_the_connection_answers_on(gateway: Gateway):
    assert (await gateway.post(b" " * 10_000_000))[0] == 413
    assert (await gateway.post(VALID))[0] == 200


async def test_a_declared_size_is_refused_before_the_body_comes(gateway: Gateway):
    async with gateway.wire("Content-Length: 99999999999") as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        (" application/json ;x=y", 200),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("application/x-ndjson", 415),
        ("", 415),
    ],
)
async def test_media_types(gateway: Gateway, content_type, status):
    assert status == (await gateway.post(VALID, Content_Type=content_type))[0]


async def test_no_media_type(gateway: Gateway):
    async with gateway.session.post(
        f"{gateway.url}/ingest", data=b"{}", skip_auto_headers=["Content-Type"]
    ) as response:
        assert response.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br", "deflate", "nonsense"])
async def test_any_content_encoding_is_refused(gateway: Gateway, encoding):
    body = gzip.compress(json.dumps(VALID).encode())
    async with gateway.wire(f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}") as (reader, writer):
        writer.write(body)

        assert (await reader.readline()).startswith(b"HTTP/1.1 415 ")
    assert gateway.publisher.records == []


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


async def test_a_client_that_never_finishes_its_body_is_sent_away(start_gateway):
    gateway = await start_gateway(body_timeout_s=0.05)
    async with gateway.wire("Content-Length: 9") as (reader, writer):
        writer.write(b"1")

        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(gateway: Gateway):
    async with gateway.wire("Content-Length: 9") as (_, writer):
        writer.write(b"1234")
        await gateway.holds(4)

    await gateway.holds(0)
    assert (await gateway.post(VALID))[0] == 200


async def test_bad_chunks_are_the_clients_fault(start_gateway):
    gateway = await start_gateway(body_timeout_s=0.2)
    async with gateway.wire("Transfer-Encoding: chunked") as (reader, writer):
        writer.write(b"2\r\n{}\r\n")
        await gateway.holds(2)
        writer.write(b"nonsense\r\n")

        assert (await reader.readline()).split()[1] in {b"400", b"408"}
    await gateway.holds(0)
    assert (await gateway.post(VALID))[0] == 200


async def test_preflight(gateway: Gateway):
    headers = {
        "Origin": "chrome-extension://abc",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    async with gateway.session.options(f"{gateway.url}/ingest", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "chrome-extension://abc"
        assert response.headers["Vary"] == "Origin"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Access-Control-Allow-Private-Network"] == "true"
    async with gateway.session.options(f"{gateway.url}/ingest", headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_answers_to_pages_carry_cors_headers_refusals_too(start_gateway):
    gateway = await start_gateway(cors_origins=frozenset({"*"}))

    for body in (b"x", json.dumps(VALID).encode()):
        async with gateway.session.post(
            f"{gateway.url}/ingest",
            data=body,
            headers={"Content-Type": "application/json", "Origin": "https://www.youtube.com"},
        ) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/ingest", "/health", "/ready", "/", "/nowhere"])
async def test_a_rebound_name_gets_nothing(gateway: Gateway, path):
    headers = {"Host": "rebound.example:4000", "Origin": "http://rebound.example:4000"}
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        assert response.status == 403
        assert False is (await response.json())["ok"]


async def test_headers_of_any_bytes(gateway: Gateway):
    for line in (b"Origin: chrome-extension://\xff", b"Origin: \xc3\xa4", b"Content-Type: \xff", b"Host: \xff"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        host = b"" if line.startswith(b"Host") else b"Host: localhost\r\n"
        writer.write(b"POST /ingest HTTP/1.1\r\n" + host + line + b"\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).split()[1] in {b"400", b"403", b"415"}
        writer.close()
        await writer.wait_closed()


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


@pytest.fixture(scope="module")
def port_in_thread():
    """A gateway in a thread of its own, for tests that cannot await."""
    started, ports, loop = threading.Event(), [], asyncio.new_event_loop()

    async def serve():
        runner = app_runner(build_app(Settings(), MemoryPublisher()))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        started.set()
        return runner

    def run():
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    yield ports[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(alphabet='{}[]",:0123456789eE.- \\ud8', max_size=60).map(str.encode)
    | st.tuples(st.just(json.dumps(VALID).encode()), st.integers(0, 200), st.binary(max_size=3)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
    )
)
@example(b"[" * 100_000)
@example(b'{"events":[' + b"{}," * 499 + b"{}]}")
def test_any_body_gets_an_answer_of_the_contract(port_in_thread, body):
    connection = http.client.HTTPConnection("127.0.0.1", port_in_thread, timeout=10)
    connection.request("POST", "/ingest", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()

    assert response.status in {200, 400, 413}
    assert (response.status == 200) is answer["ok"]


@pytest.mark.parametrize(
    ("version", "header", "goes_on", "said"),
    [
        ("1.1", "X: y", True, None),
        ("1.1", "Connection: close", False, b"close"),
        ("1.0", "X: y", False, b"close"),
        ("1.0", "Connection: keep-alive", True, b"keep-alive"),
    ],
)
async def test_connections_are_kept_as_the_client_asks(gateway: Gateway, version, header, goes_on, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(1 + goes_on):
        writer.write(f"GET /health HTTP/{version}\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        lines = [line async for line in until_blank(reader)]
        headers = dict(line.split(b": ", 1) for line in lines)
        assert headers.get(b"Connection") == said
        assert headers[b"Content-Type"] == b"application/json"
        assert email.utils.parsedate_to_datetime(headers[b"Date"].decode()).tzinfo is not None
        assert await reader.readexactly(int(headers[b"Content-Length"])) == b'{"ok":true,"stage":"gateway"}'
    if not goes_on:
        assert await reader.read() == b""
    writer.close()


async def until_blank(reader: asyncio.StreamReader):
    while line := (await reader.readline()).rstrip(b"\r\n"):
        yield line


async def test_head_has_no_body(gateway: Gateway):
    async with gateway.session.head(f"{gateway.url}/health") as response:
        assert response.headers["Content-Length"] == "29"
        assert await response.read() == b""
    async with gateway.session.get(f"{gateway.url}/health") as response:
        assert (await response.json())["ok"]


async def test_a_header_with_a_line_break_is_not_sent():
    """Nothing from a request gets that far; this is the second lock."""
    request = make_mocked_request("GET", "/")

    with pytest.raises(ValueError, match="line break"):
        await json_answer(200, b"{}", {"X": "a\r\nSet-Cookie: b"}).prepare(request)
