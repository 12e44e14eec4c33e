"""Lanes whose write loop runs beside a test."""

from __future__ import annotations

import asyncio
import contextlib


@contextlib.asynccontextmanager
async def running(lane):
    task = asyncio.create_task(lane.run())
    try:
        yield task
    finally:
        lane.stop(flush=False)
        await asyncio.wait([task])


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- lanes raise no events
            await asyncio.sleep(0.001)
