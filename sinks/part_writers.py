"""Who turns raw objects into parts: one thread while there is little to do, then a process for each core."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

from sinks.rebuild_part import Order, keep_memory, write_part
from sinks.store import StoredObject

#: Objects that are in memory for each worker: one being worked on, one waiting for it.
_IN_HAND: Final = 2
#: Stored bytes from which processes are worth their start.
_WORTH_PROCESSES: Final = 8 * 1024 * 1024


class PartWriters:
    """A context in which the parts of `objects` objects are written, no more at a time than memory is meant for."""

    def __init__(self, objects: int) -> None:
        self._objects: Final = objects
        self._workers: Final = os.cpu_count() or 1
        self._gate: Final = asyncio.Semaphore(self._workers * _IN_HAND)
        self._thread: Final = ThreadPoolExecutor(1)
        self._processes: ProcessPoolExecutor | None = None
        self._read = 0
        self._read_bytes = 0

    async def write(self, order: Order, read: Callable[[], Awaitable[StoredObject]]) -> StoredObject:
        """Read an object when its turn comes, write its part, and return it."""
        async with self._gate:
            found = await read()
            self._read += 1
            self._read_bytes += len(found.body)
            await asyncio.get_running_loop().run_in_executor(self._pool(), write_part, order, found.body)
            return found

    def _pool(self) -> Executor:
        if self._processes is None:
            # As if the others were as large as those that were read.
            if self._read_bytes / self._read * self._objects < _WORTH_PROCESSES:
                return self._thread
            # Not forked: this process has threads.
            spawn = multiprocessing.get_context("spawn")
            self._processes = ProcessPoolExecutor(self._workers, mp_context=spawn, initializer=keep_memory)
        return self._processes

    def __enter__(self) -> Self:
        """Begin; the first object starts what it needs."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; what they have not begun is dropped."""
        for pool in (self._thread, self._processes):
            if pool:
                pool.shutdown(cancel_futures=True)


async def together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all jobs to their end; the first that fails is why the others are cancelled, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
