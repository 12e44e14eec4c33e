"""HTTP as clients speak it, well or badly: media types, sizes, slow and broken bodies, connections."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import http.client
import json

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.answers import JsonAnswer
from streams.contract.event import MAX_BODY_BYTES
from tests.background_loop import BackgroundLoop
from tests.live_gateway import LiveGateway
from tests.unit.gateway.running import VALID, Gateway


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


async def test_headers_of_any_bytes(gateway: Gateway):
    for line in (b"Origin: chrome-extension://\xff", b"Origin: \xc3\xa4", b"Content-Type: \xff", b"Host: \xff"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        host = b"" if line.startswith(b"Host") else b"Host: localhost\r\n"
        writer.write(b"POST /ingest HTTP/1.1\r\n" + host + line + b"\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).split()[1] in {b"400", b"403", b"415"}
        writer.close()
        await writer.wait_closed()


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
        await JsonAnswer(200, b"{}", {"X": "a\r\nSet-Cookie: b"}).prepare(request)


@pytest.fixture(scope="module")
def port_in_thread():
    background = BackgroundLoop()
    gateway = LiveGateway(background)
    yield gateway.port
    gateway.stop()
    background.stop()


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
