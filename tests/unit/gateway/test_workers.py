"""The parent of a gateway's workers, without starting any."""

from __future__ import annotations

import asyncio
import errno

from gateway import workers
from gateway.settings import Settings


async def test_a_worker_that_cannot_be_started_for_now_is_started_later(monkeypatch):
    """Its part of the connections waits meanwhile; nobody else would take them."""
    parent, tries = workers.Workers(Settings(), {}), 0

    async def refuse(*_, **__):
        nonlocal tries
        tries += 1
        if tries == 3:
            parent._stop.set()
        raise OSError(errno.EAGAIN, "no process left")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    monkeypatch.setattr(workers, "_FIRST_WAIT_S", 0.0)

    await asyncio.wait_for(parent._keep(0, (0, 0, 0)), 1)

    assert tries == 3
