"""A stage that is told to stop while it still waits for its broker stops, with exit code 0."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.integration.sinks_processes import Process
from tests.integration.stream_workers import Worker


@pytest.fixture(name="silent_broker")
async def _silent_broker():
    """The address of something that takes connections and never answers, and an event for the first of them."""
    called = asyncio.Event()

    async def swallow(_, writer):
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}", called
    server.close()


async def test_sinks_that_wait_for_a_broker_stop(silent_broker, tmp_path):
    broker, called = silent_broker
    process = await Process.start(tmp_path, broker, "g")
    try:
        await asyncio.wait_for(called.wait(), 30)
        process.send(signal.SIGTERM)

        async with asyncio.timeout(5):
            assert await process.process.wait() == 0
    finally:
        process.send(signal.SIGKILL)
    assert process.said()[-1]["event"] == "stopped"


async def test_streams_that_wait_for_a_broker_stop(silent_broker, tmp_path):
    broker, called = silent_broker
    worker = Worker(broker, "g", tmp_path / "streams.log")
    try:
        await asyncio.wait_for(called.wait(), 30)

        assert await asyncio.to_thread(worker.child.stop, 5.0) == 0
    finally:
        worker.child.kill()
    assert "stopped before any partition was taken" in worker.log.read_text()
