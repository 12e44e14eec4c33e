"""Viewers that post while a test does harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.open_loop import OpenLoop, Plan, Tally


@asynccontextmanager
async def posted(plan: Plan, acknowledged: Path) -> AsyncIterator[Tally]:
    """Post for as long as the block lasts, and keep what was acknowledged; the tally is whole after the block."""
    with acknowledged.open("wb") as file:
        loop = OpenLoop(plan, file.write)
        loading = asyncio.create_task(loop.run())
        try:
            yield loop.tally
        finally:
            loop.stop()
            await loading
