"""A replay against a gateway that does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from deploy import rejected
from deploy.errors import DeployError


@pytest.mark.parametrize("error", [TimeoutError(), aiohttp.ServerDisconnectedError()])
async def test_a_gateway_without_an_answer_is_asked_again_and_then_named(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def post(url: str, **_: Any) -> None:
        tries.append(url)
        raise error

    async def no_pause(_: float) -> None: ...

    monkeypatch.setattr(rejected.asyncio, "sleep", no_pause)
    session: Any = SimpleNamespace(post=post)

    with pytest.raises(DeployError, match="http://gateway/ingest did not take the events"):
        await rejected._post_batch(session, "http://gateway/ingest", [{}])

    assert len(tries) == rejected._TRIES
