"""The store that `deploy.setup` waits for may be told in any form of a URL."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local import s3
from deploy.setup import SetupError, set_up


async def test_a_store_that_listens_is_ready() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await s3.is_ready(f"http://127.0.0.1:{port}")
        assert await s3.is_ready(f"https://127.0.0.1:{port}/")
    assert not await s3.is_ready(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
async def test_a_port_that_is_not_told_is_the_schemes(scheme: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    async def refuse(host: str, port: int) -> None:
        asked.append((host, port))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_connection", refuse)

    assert not await s3.is_ready(f"{scheme}://s3.example.org")
    assert asked == [("s3.example.org", port)]


@pytest.mark.parametrize("endpoint", ["minio:9000", "http://minio:nine", "s3.example.org"])
async def test_an_endpoint_that_is_none_is_named_at_once(endpoint: str) -> None:
    environ = {"SINKS_LAKE": "s3://lake", "SINKS_S3_ENDPOINT": endpoint, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    with pytest.raises(SetupError, match="SINKS_S3_ENDPOINT"):
        await set_up(environ)
