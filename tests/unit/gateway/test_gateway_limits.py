"""Limits: of requests, of connections, of the time that headers may take."""

from __future__ import annotations

import asyncio

import pytest

from gateway import app
from gateway.buckets import Buckets
from gateway.settings import Settings
from gateway.tokens import Key, sign
from tests.unit.gateway.running import VALID, Gateway
from tests.unit.gateway.test_gateway_auth import files  # noqa: F401 - a fixture

KEY = Key("new", b"n" * 32)


@pytest.fixture(autouse=True)
def _swept_often(monkeypatch):
    monkeypatch.setattr(app, "_LOOK_S", 0.05)


def test_a_bucket_gives_its_burst_and_then_its_rate():
    buckets = Buckets(rate=2.0, burst=3)

    assert [buckets.take("a", 10.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b", 10.0) == 0
    assert buckets.take("a", 10.4) == pytest.approx(0.1)
    assert buckets.take("a", 10.5) == 0
    assert buckets.take("a", 10.6) > 0
    assert [buckets.take("a", 99.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_buckets_hold_a_bounded_number_of_keys():
    buckets = Buckets(rate=1.0, burst=1, most=2)

    assert [buckets.take(key, 0.0) for key in "abca"] == [0, 0, 0, 0]
    assert buckets.take("c", 0.0) > 0


def test_an_open_gateway_throttles_nobody_by_default():
    settings = Settings()

    for name in ("install_rate", "address_rate", "connections_per_address"):
        assert settings.limit(name, 5) == 0


async def test_429_says_when_to_come_back_and_comes_before_the_body_is_judged(start_gateway):
    gateway = await start_gateway(address_rate=1, address_burst=2)
    assert (await gateway.post(VALID))[0] == 200
    assert (await gateway.post(VALID, Content_Type="text/plain"))[0] == 415

    assert (await gateway.post(b"x"))[0] == 400
    headers = {"Content-Type": "application/json"}
    async with gateway.session.post(f"{gateway.url}/ingest", data=b"x" * 600_000, headers=headers) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"
    assert gateway.metric("watchtime_gateway_refusals_total", reason="rate_address") == 1


async def test_one_install_is_limited_and_another_is_not(start_gateway, files):  # noqa: F811
    gateway = await start_gateway(**files, install_rate=1, install_burst=1)
    one, other = ({"Authorization": f"Bearer {sign(KEY, install, 2**36)}"} for install in ("i-1", "i-2"))

    assert [(await gateway.post(VALID, **one))[0] for _ in range(2)] == [200, 429]
    assert (await gateway.post(VALID, **other))[0] == 200


async def test_further_connections_of_an_address_are_closed(start_gateway):
    gateway = await start_gateway(connections_per_address=2)
    async with gateway.wire(), gateway.wire():
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

        assert await closed(reader)
        writer.close()
    assert gateway.metric("watchtime_gateway_refusals_total", reason="connections_address") == 1
    await gateway.alone()
    assert (await gateway.post(VALID))[0] == 200


async def test_all_connections_have_a_limit(start_gateway):
    gateway = await start_gateway(max_connections=1)
    async with gateway.wire():
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        await gateway.counts("connections")
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"POST /ingest HT", b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_headers_that_do_not_arrive_in_time_end_the_connection(start_gateway, sent):
    gateway = await start_gateway(header_timeout_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)

    assert await closed(reader)
    assert gateway.metric("watchtime_gateway_refusals_total", reason="header_time") == 1
    writer.close()


async def test_a_byte_now_and_then_does_not_buy_time(start_gateway):
    gateway = await start_gateway(header_timeout_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

    async def drip() -> None:
        writer.write(b"POST /ingest HTTP/1.1\r\nX: ")
        while True:
            await asyncio.sleep(0.02)
            writer.write(b"x")

    dripping = asyncio.create_task(drip())
    assert await closed(reader)
    dripping.cancel()
    writer.close()


async def test_the_clock_of_a_second_request_starts_with_its_first_byte(start_gateway):
    gateway = await start_gateway(header_timeout_s=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        while await reader.readline() != b"\r\n":
            pass
        await reader.readexactly(len(b'{"ok":true,"stage":"gateway"}'))
        await asyncio.sleep(0.5)  # rests for longer than headers may take
        gateway.connections.sweep()
    writer.write(b"GET /hea")

    assert await closed(reader)
    writer.close()


async def test_a_long_header_is_refused(start_gateway):
    gateway = await start_gateway(max_header_bytes=2_048)
    async with gateway.wire(f"X-Long: {'x' * 3_000}", "Content-Length: 0") as (reader, _):
        assert (await reader.readline()).split()[1] == b"400"


async def test_headers_that_are_too_long_together_are_refused(start_gateway):
    gateway = await start_gateway(max_all_headers_bytes=4_096)
    many = [f"X-{number}: {'x' * 1_000}" for number in range(5)]
    async with gateway.wire(*many, "Content-Length: 0") as (reader, _):
        assert (await reader.readline()).split()[1] == b"431"
        assert (await reader.read()).endswith(b'{"ok":false,"error":"Headers too large"}')
    async with gateway.wire(*many[:3], "Content-Length: 0") as (reader, _):
        assert (await reader.readline()).split()[1] == b"400"  # no JSON
    assert gateway.metric("watchtime_gateway_refusals_total", reason="headers_bytes") == 1
    await gateway.alone()


@pytest.mark.parametrize("sizes", [[1], [7, 1, 2], [100_000]])
async def test_a_body_is_no_header_however_the_bytes_arrive(start_gateway, sizes):
    """The end of the headers may be cut anywhere; what comes behind it does not count."""
    gateway = await start_gateway(max_all_headers_bytes=1_024)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    body = b" " * 200_000
    head = f"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
    for _ in range(2):  # on one connection
        data, at = head + b"Content-Type: application/json\r\n\r\n", 0
        for size in sizes * 1_000:
            writer.write(data[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
            at += size
            if at >= len(data):
                break
        writer.write(body)
        assert (await reader.readline()).split()[1] == b"400"  # no JSON
        while (await reader.readline()).strip():
            pass
        await reader.readexactly(len(b'{"ok":false,"error":"Invalid JSON"}'))
    writer.close()


async def refused_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *framing: str) -> None:
    """Send the headers of a POST that is refused by them alone; return when that was heard."""
    writer.write("\r\n".join(["POST /ingest HTTP/1.1", "Host: localhost", *framing, "", ""]).encode())
    assert (await reader.readline()).split()[1] == b"415"
    while (line := await reader.readline()).strip():
        if line.startswith(b"Content-Length"):
            length = int(line.split()[1])
    await reader.readexactly(length)


async def test_the_rest_of_a_refused_body_is_no_header(start_gateway):
    """It may be longer than headers may be and take longer than they may; then the connection goes on."""
    gateway = await start_gateway(max_all_headers_bytes=1_024, header_timeout_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):
        await refused_unread(reader, writer, "Content-Type: text/plain", "Content-Length: 200000")
        for _ in range(10):
            writer.write(b"x" * 20_000)
            await writer.drain()
            await asyncio.sleep(0.02)
            gateway.connections.sweep()

    for reason in ("headers_bytes", "header_time"):
        assert gateway.metric("watchtime_gateway_refusals_total", reason=reason) == 0
    writer.write(b"GET /hea")  # headers again: these have a limit
    assert await closed(reader)
    assert gateway.metric("watchtime_gateway_refusals_total", reason="header_time") == 1
    writer.close()


@pytest.mark.parametrize(
    ("framing", "drop"),
    [("Content-Length: 200000000", b"x"), ("Transfer-Encoding: chunked", b"1\r\nx\r\n")],
)
async def test_a_refused_body_that_never_ends_does_not_hold_the_connection(start_gateway, monkeypatch, framing, drop):
    monkeypatch.setattr(app, "_LINGERING_S", 0.2)
    gateway = await start_gateway()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    await refused_unread(reader, writer, "Content-Type: text/plain", framing)

    async def drip() -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await closed(reader)
    dripping.cancel()
    await gateway.alone()
    writer.close()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Return once the other side has closed the connection."""
    async with asyncio.timeout(10):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


async def test_a_flood_of_large_bodies_is_refused_by_its_size_alone(gateway: Gateway):
    answers = await asyncio.gather(*(gateway.post(b" " * 2**20) for _ in range(50)))

    assert {413} == {status for status, _ in answers}
    assert gateway.metric("watchtime_gateway_in_flight_bytes") == 0
