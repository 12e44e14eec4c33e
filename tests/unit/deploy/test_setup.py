"""The store that `deploy.setup` waits for may be told in any form of a URL."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local import s3


async def test_a_store_that_listens_is_ready() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await s3.is_ready(f"http://127.0.0.1:{port}")
        assert await s3.is_ready(f"https://127.0.0.1:{port}/")
    assert not await s3.is_ready(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.2", "https://127.0.0.2"])
async def test_a_port_that_is_not_told_is_the_schemes(endpoint: str) -> None:
    assert not await s3.is_ready(endpoint)
