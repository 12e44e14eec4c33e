"""A real gateway on a free port, with the in-memory publisher behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from gateway.app import ACCESS, CONNECTIONS, METRICS, app_runner, build_app, site
from gateway.daily_reader import Reader
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from gateway.tracing import Tracing
from tests.unit.gateway.running import RECEIVED_AT, Gateway
from tests.unit.gateway.shown_day import fill

StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def start_gateway() -> AsyncIterator[StartGateway]:
    """`await start_gateway(cors_origins=…)`: a gateway with these settings."""
    async with AsyncExitStack() as stack:

        async def start(*, tracing: Tracing | None = None, **settings: Any) -> Gateway:
            publisher = MemoryPublisher()
            of = Settings(**settings)
            reader = Reader(of.live_rows)
            app = build_app(
                of, publisher, reader=reader, clock_ns=lambda: RECEIVED_AT * 1_000_000 + 999_999, tracing=tracing
            )
            runner = app_runner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await site(runner, "127.0.0.1", 0).start()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Gateway(
                runner.addresses[0][1], publisher, app[METRICS], session, app[ACCESS], app[CONNECTIONS], reader
            )

        yield start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """A gateway as it is set by default."""
    return await start_gateway()


@pytest.fixture
async def shown(gateway: Gateway) -> Gateway:
    """A gateway with a day to show."""
    fill(gateway)
    return gateway
