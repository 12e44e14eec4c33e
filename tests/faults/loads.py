"""Viewers that post while a test does harm."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from deploy.load import is_whole
from deploy.open_loop import OpenLoop, Plan, Tally
from tests.stacks import Stack


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


@contextmanager
def posting(plan: Plan, acknowledged: Path) -> Iterator[Tally]:
    """Do the same beside a block that cannot await."""
    with acknowledged.open("wb") as file:
        loop = OpenLoop(plan, file.write)
        loading = threading.Thread(target=asyncio.run, args=(loop.run(),))
        loading.start()
        try:
            yield loop.tally
        finally:
            loop.stop()
            loading.join()


@contextmanager
def load(stack: Stack, seed: int) -> Iterator[Path]:
    """Post to a stack for as long as the block lasts; gives the file of acknowledged POSTs."""
    plan = Plan(
        url=f"{stack.gateway}/ingest",
        clients=100,
        rate=300.0,
        seconds=3_600,
        batch=20,
        repeat=0.05,
        seed=seed,
        deadline_s=80,
    )
    acknowledged = stack.data_dir / f"acknowledged-{seed}.ndjson"
    with posting(plan, acknowledged) as tally:
        yield acknowledged
    assert is_whole(tally), tally.refusals
