"""`watch.events` -> raw objects: keeps every accepted event, and with it the means to count everything again.

Each partition has one open object, written again at most each refresh interval, and closed ones that are final.
Order: records are fed, the object that holds them is written, and only then does `done` go past them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final, Literal

import structlog
from aiokafka.structs import ConsumerRecord

from sinks import metrics
from sinks.chunks import Chunk, Chunks, RawRecord
from sinks.precedence import ReadAgainError, check_end
from sinks.raw_objects import RawObjects
from streams.contract.topics import is_forget

#: Bytes of records that may wait for the lake before the partition is paused.
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
#: What a record costs beside its value.
_RECORD_BYTES: Final = 200
#: Records worked off before anything else gets its turn.
_BATCH: Final = 2_000

log = structlog.get_logger(__name__)


class ArchiveGapError(Exception):
    """Records are gone from the log that no raw object holds."""


class ArchiveLane:
    """One partition of the raw topic, and its objects."""

    def __init__(self, objects: RawObjects, refresh_s: float) -> None:
        self.ready = False
        self._located = False
        self._objects = objects
        self._refresh_s = refresh_s
        self._forget(0)
        self._end = 0
        self._behind: ReadAgainError | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._flush = False
        self._dirty_since: float | None = None
        self._put_at = -refresh_s

    def _forget(self, first: int) -> None:
        self._chunks = Chunks(self._objects.topic, self._objects.topic8, self._objects.partition, first)
        self._waiting: list[RawRecord] = []
        self._waiting_bytes = 0
        #: Offset after what is in objects.
        self._durable = first
        #: Offset after all that was fed.
        self._position = first

    async def locate(self, start: int, end: int) -> int:
        """Return where to read on: an open object's first offset, or the offset after a closed one."""
        if self._behind:
            check_end(self._objects.topic, self._behind, end)
            self._behind = None
        self.ready = self._located = False
        self._stopping = self._flush = False
        self._end = end
        offset = await self._resume(start, end)
        self._located = True
        return offset

    async def _resume(self, start: int, end: int) -> int:
        newest = await self._objects.newest()
        if newest is None:
            if start > 0:
                log.warning("the archive is empty, and the log no longer holds its first records", first_offset=start)
            self._forget(start)
            return start
        held = newest.provenance
        if held.last >= end:
            # Whoever held the partition before may have written since the end was asked for: ask again, then judge.
            self._behind = ReadAgainError(newest.key.encode(), held.last, end)
            raise self._behind
        if held.last + 1 < start:
            raise ArchiveGapError(
                f"offsets {held.last + 1} to {start - 1} of {held.topic} partition {held.partition} are in no raw "
                f"object (the newest is {newest.key.encode()}) and no longer in the log. To go on without them, move "
                "the raw objects of this topic aside; days of these records can then not be reconciled or rebuilt"
            )
        if held.state == "open" and held.first >= start:
            self._forget(held.first)
            self._chunks = Chunks(held.topic, newest.key.topic8, held.partition, held.first, resumed=newest.key)
            self._chunks.least_last = held.last
            self._durable = held.last + 1
            return held.first
        if held.state == "open":
            await self._objects.close(newest)
        self._forget(held.last + 1)
        return held.last + 1

    def feed(self, records: Sequence[ConsumerRecord], position: int) -> None:
        """Take records."""
        for record in records:
            control = is_forget(record.headers)
            self._waiting.append(RawRecord(record.offset, record.timestamp, record.value, control))
            self._waiting_bytes += len(record.value or b"") + _RECORD_BYTES
        self._position = position
        if records and self._dirty_since is None:
            self._dirty_since = time.monotonic()
        if records or not self.ready:
            self.ready = self.ready or position >= self._end
            self._wake.set()

    @property
    def full(self) -> bool:
        """Whether enough is waiting for the lake."""
        return self._waiting_bytes > MAX_WAITING_BYTES

    def stop(self, *, flush: bool) -> None:
        """Let `run` end."""
        self._stopping, self._flush = True, flush
        self._wake.set()

    def done(self) -> int | None:
        """Return the offset up to which all records are in objects."""
        return self._durable if self._located else None

    def observe(self, lag: int) -> None:
        """Set the lane's metrics."""
        labels = {"topic": self._objects.topic, "partition": str(self._objects.partition)}
        metrics.LAG.labels(**labels).set(lag)
        age = 0.0 if self._dirty_since is None else time.monotonic() - self._dirty_since
        metrics.DIRTY_SECONDS.labels(**labels).set(age)

    async def run(self) -> None:
        """Write closed chunks at once, and the open one when its interval has passed."""
        try:
            while True:
                self._wake.clear()
                await self._work_off()
                if self._stopping and not self._flush:
                    return
                wait_s = await self._refresh()
                if self._waiting:
                    continue
                if self._stopping:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait_s)
        except ReadAgainError as behind:
            self._behind = behind
            self.ready = self._located = False
            raise

    async def _work_off(self) -> None:
        """Put waiting records into chunks, and write those that end."""
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        if not batch:
            return
        ended = await asyncio.to_thread(self._chunks.take, batch)
        for chunk in ended:
            await self._put(chunk, "closed")
        self._waiting_bytes -= sum(len(record.value or b"") + _RECORD_BYTES for record in batch)

    async def _refresh(self) -> float | None:
        """Write the open chunk if it is due; return the seconds until it will be (None: nothing is to be written)."""
        chunk = self._chunks.open
        if chunk is None or chunk.last < self._durable:
            self._settle(self._chunks.next)
            return None
        wait_s = self._put_at + self._refresh_s - time.monotonic()
        if wait_s > 0 and not self._flush:
            return wait_s
        await self._put(chunk, "open")
        return None

    async def _put(self, chunk: Chunk, state: Literal["open", "closed"]) -> None:
        body = await asyncio.to_thread(chunk.content)
        self._put_at = time.monotonic()
        await self._objects.put(chunk.key, body, chunk.first, chunk.last, state)
        self._settle(chunk.last + 1)

    def _settle(self, durable: int) -> None:
        self._durable = max(self._durable, durable)
        if not self._waiting:
            self._dirty_since = None
