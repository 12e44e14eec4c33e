"""Raw objects counted into the rows of a day: parts first, then the recount over them, in one work folder."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sinks.progress import Report
from sinks.rebuild_part import Reading
from sinks.rebuild_parts import Parts
from sinks.rebuild_sources import Found
from sinks.reconcile import Beyond, Recount
from streams.contract.days import DayRule
from streams.contract.rows import TABLES, Table


class BusyError(Exception):
    """Two commands work on one day."""


@asynccontextmanager
async def counted(  # noqa: PLR0913 - what a count is made of
    objects: Sequence[Found],
    dt: str,
    day_rule: DayRule,
    *,
    reading: Reading,
    folder: Path,
    report: Report,
    tables: Sequence[Table] = TABLES,
) -> AsyncIterator[tuple[Recount, Beyond]]:
    """Count a day: its rows, there as long as the context, and what lies beyond them."""
    with _alone(folder):
        parts = Parts(folder / "parts", reading)
        count = len(objects)
        paths = await parts.make(objects, lambda done: report(f"reading raw objects: {done:,} of {count:,}"))
        shutil.rmtree(folder / "count", ignore_errors=True)
        (folder / "count").mkdir(mode=0o700, parents=True)
        recount = Recount(dt, day_rule, folder / "count")
        try:
            report("counting")
            await asyncio.to_thread(recount.look_at, paths)
            yield recount, await asyncio.to_thread(recount.judge, tables)
        finally:
            recount.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other commands out of a work folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another command is counting this day in {folder}: wait until it has ended") from None
        yield
