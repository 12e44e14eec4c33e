"""What a gateway process holds at most: under ten thousand slow connections, and under a flood of large bodies."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psutil
import pytest

from tests.integration.gateway_processes import StartGateway, start_gateway_fixture  # noqa: F401 - the fixture
from tests.integration.stream_workers import until
from tests.servers import FreshTopics

MOST_MIB = 200
SLOW = 10_000
FLOOD = 200
BODY = b'{"events":[' + b" " * (1024 * 1024) + b"]}"
HEAD = b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WITHIN_S = 120.0


@dataclass
class Gateway:
    """A gateway process, and the most memory that was seen."""

    process: psutil.Process
    port: int
    peak_mib: float = 0.0

    async def watch(self) -> None:
        while True:
            self.peak_mib = max(self.peak_mib, self.process.memory_info().rss / 2**20)
            await asyncio.sleep(0.02)

    async def healthy(self) -> bool:
        """Whether it answers others meanwhile."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.startswith(b"HTTP/1.1 200")


@pytest.fixture
async def gateway(fresh_topics: FreshTopics, start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    # Longer than it takes to connect them all on a busy machine.
    patience = {"GATEWAY_HEADER_TIMEOUT_S": "600", "GATEWAY_BODY_TIMEOUT_S": "600"}
    started = await start_gateway(await fresh_topics(), **patience)
    await started.until("/ready", 200)
    gateway = Gateway(psutil.Process(started.process.pid), started.port)
    watching = asyncio.create_task(gateway.watch())
    yield gateway
    watching.cancel()


@pytest.mark.slow
async def test_ten_thousand_slow_connections(gateway: Gateway):
    """Half are stuck in their headers, half in a body of which a part has come."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < SLOW + 500:
        pytest.skip(f"this machine allows {most} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    writers = []
    for number in range(SLOW):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        stuck = b"X: y" if number % 2 else b'Content-Length: 1000\r\n\r\n{"events":[' + b" " * 400
        writer.write(HEAD + stuck)
        writers.append(writer)

    async def all_there() -> bool:
        return gateway.process.num_fds() > SLOW and await gateway.healthy()

    await until(all_there, WITHIN_S)
    print(f"{SLOW} slow connections: at most {gateway.peak_mib:.0f} MiB")
    assert gateway.peak_mib < MOST_MIB
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["length told", "in chunks"])
async def test_a_flood_of_large_bodies(gateway: Gateway, told):
    """All at once, again and again; those that tell no length are read up to the limit."""

    async def post() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        if told:
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        else:
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        try:
            answer = await reader.read(len(b"HTTP/1.1 413"))
        except ConnectionResetError:
            answer = b""
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        return answer[-3:] or b"cut"  # off, while it was still sending

    seen = set()
    for _ in range(5):
        seen |= set(await asyncio.gather(*(post() for _ in range(FLOOD))))

    print(f"{5 * FLOOD} bodies of 1 MiB, {FLOOD} at once: at most {gateway.peak_mib:.0f} MiB, answers {seen}")
    assert seen <= {b"413", b"503", b"cut"}
    assert b"413" in seen
    assert gateway.peak_mib < MOST_MIB
    assert await gateway.healthy()
