"""Raw objects counted into the rows of a day: parts first, then the recount over them, in one work folder."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from sinks.progress import Report
from sinks.rebuild_parts import Parts, Reading
from sinks.rebuild_sources import Found
from sinks.reconcile import Beyond, Recount
from streams.contract.days import DayRule


class Counted(NamedTuple):
    """A day that is counted; `recount` holds its rows."""

    recount: Recount
    beyond: Beyond


@asynccontextmanager
async def counted(  # noqa: PLR0913 - what a count is made of
    objects: Sequence[Found], dt: str, day_rule: DayRule, *, reading: Reading, folder: Path, report: Report
) -> AsyncIterator[Counted]:
    """Count a day; its tables are there as long as the context."""
    parts = Parts(folder / "parts", reading)
    count = len(objects)
    paths = await parts.make(objects, lambda done: report(f"reading raw objects: {done:,} of {count:,}"))
    shutil.rmtree(folder / "count", ignore_errors=True)
    (folder / "count").mkdir(mode=0o700, parents=True)
    recount = Recount(dt, day_rule, folder / "count")
    try:
        report("counting")
        await asyncio.to_thread(recount.add_parts, paths)
        yield Counted(recount, await asyncio.to_thread(recount.judge))
    finally:
        recount.close()
