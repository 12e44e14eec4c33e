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
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.raw_days import RawHoleError
from sinks.rebuild_columns import columns, foreign_delivery, own_delivery
from sinks.rebuild_lines import content, foreign_lines, strict_lines
from sinks.rebuild_sources import Found
from sinks.reconcile_lines import SCHEMA
from streams.contract.event import Event, decode_events, decode_line

#: Changes with what a part holds, so that none of another release is taken up.
_VERSION: Final = 1
#: A place is the number of its object and, below these bits, the line's number in it.
LINE_BITS: Final = 32
#: Objects read ahead of those that are being worked on, for each worker.
_AHEAD: Final = 2
#: Stored bytes from which processes are worth their start.
_WORTH_PROCESSES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How lines are read."""

    #: The reference's objects as its own processor reads them.
    strict: bool = False
    #: Whether repeats are told in the reference's objects too.
    dedupe: bool = False


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
        order = _Order(found.key, found.dt, number, found.foreign, self._reading, path)
        await asyncio.get_running_loop().run_in_executor(pool, _write_part, order, stored.body)


@dataclass(frozen=True)
class _Order:
    """What a worker needs to know of a part."""

    key: str
    dt: str
    number: int
    foreign: bool
    reading: Reading
    path: Path


def _pool(size: int, workers: int) -> Executor:
    if size < _WORTH_PROCESSES:
        return ThreadPoolExecutor(1)
    # Not forked: this process has threads.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _write_part(order: _Order, body: bytes) -> None:
    table = pa.Table.from_batches([_read(order, content(order.key, body))], schema=SCHEMA)
    partial = order.path.with_suffix(".partial")
    pq.write_table(table, partial, compression="lz4", use_dictionary=["broker_dt", "event_type", "video", "channel"])
    partial.replace(order.path)


def _read(order: _Order, text: bytes) -> pa.RecordBatch:
    first_place = order.number << LINE_BITS
    if not order.foreign:
        return columns(decode_events(text), order.dt, own_delivery(order.key), first_place=first_place, identified=True)
    return columns(
        _foreign(text, order.reading),
        order.dt,
        foreign_delivery(order.dt),
        first_place=first_place,
        identified=order.reading.dedupe,
    )


def _foreign(text: bytes, reading: Reading) -> Sequence[Event | None]:
    if reading.strict:
        return [decode_line(line) for line in strict_lines(text)]
    events = decode_events(text)
    # Most objects hold an event a line; only where one does not, a closer look is taken.
    return [decode_line(line) for line in foreign_lines(text)] if None in events else events
