"""The work folder of a rebuild: each raw object's lines as a file of columns, made once, whatever kills the command.

A part is named after its object, the object's ETag and how it was read, and appears under that name only when it is
whole. So a rebuild that begins again takes up what is there and makes the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sinks.raw_days import RawHoleError
from sinks.rebuild_part import Order, Reading, write_part
from sinks.rebuild_sources import Found

#: Changes with what a part holds, so that none of another release is taken up.
_VERSION: Final = 1
#: Objects read ahead of those that are being worked on, for each worker.
_AHEAD: Final = 2
#: Stored bytes from which processes are worth their start.
_WORTH_PROCESSES: Final = 8 * 1024 * 1024


class Parts:
    """The parts of one rebuild."""

    def __init__(self, folder: Path, reading: Reading) -> None:
        self.folder: Final = folder
        self._reading = reading

    async def make(self, objects: Sequence[Found], report: Callable[[int], None]) -> list[Path]:
        """Make what is missing and return the parts in the order of their objects; `report`: parts done."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = [self.folder / f"{self._name(number, found)}.parquet" for number, found in enumerate(objects)]
        wanted = {path.name for path in paths}
        for path in self.folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        workers = os.cpu_count() or 1
        gate = asyncio.Semaphore(workers * _AHEAD)
        done = len(paths) - len(missing)
        report(done)

        async def one(pool: Executor, number: int) -> None:
            nonlocal done
            async with gate:
                await self._part(pool, number, objects[number], paths[number])
            done += 1
            report(done)

        try:
            with _pool(sum(objects[number].size for number in missing), workers) as pool:
                async with asyncio.TaskGroup() as tasks:
                    for number in missing:
                        tasks.create_task(one(pool, number))
        except ExceptionGroup as several:
            # The first one is why the others were cancelled.
            raise several.exceptions[0] from several
        return paths

    def _name(self, number: int, found: Found) -> str:
        facts = (_VERSION, number, found.source.url, found.key, found.etag, self._reading)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

    async def _part(self, pool: Executor, number: int, found: Found, path: Path) -> None:
        stored = await found.source.store.get(found.key)
        if stored is None or stored.stat.etag != found.etag:
            raise RawHoleError(f"{found.key} was changed while the day was read: run the command again")
        order = Order(found.key, found.dt, number, found.foreign, self._reading, path)
        await asyncio.get_running_loop().run_in_executor(pool, write_part, order, stored.body)


def _pool(size: int, workers: int) -> Executor:
    if size < _WORTH_PROCESSES:
        return ThreadPoolExecutor(1)
    # Not forked: this process has threads.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
