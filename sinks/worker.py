"""Daily topics -> daily files: holds the rows of one (table, partition) and writes each changed day as one file.

Order: rows are fed, a day's file is written, and only then does `done` go past those rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from aiokafka.structs import ConsumerRecord

from sinks import metrics
from sinks.day_files import DayFiles, Destination
from sinks.precedence import ReadAgainError, check_end
from sinks.tables import BadRowError, DayTable
from streams.contract.days import FILE_DAYS, dt_of_ms, shift_dt
from streams.contract.rows import Table
from streams.contract.topics import generation_of

log = structlog.get_logger(__name__)

#: A day that was not written for so long is held in less room.
REST_S: Final = 600.0


def clock_ms() -> int:
    """Return the machine's time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class TableLane:
    """The rows of one partition of a daily topic, and their files."""

    def __init__(
        self,
        table: Table,
        shard: int,
        topic_id: str,
        destination: Destination,
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        self.ready = False
        self.full = False
        self._table = table
        self._shard = shard
        self._refresh_s = destination.refresh_s
        self._now_ms = now_ms
        self._files = DayFiles(table, shard, topic_id, destination)
        self._rows = DayTable(table)
        #: Offset after all that was fed; -1: nothing is held.
        self._position = -1
        self._end = 0
        #: Why everything has to be read again.
        self._behind: ReadAgainError | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._flush = False
        #: When each day was last put together, by the monotonic clock.
        self._written_at: dict[str, float] = {}
        self._dirty_since: float | None = None

    async def locate(self, start: int, end: int) -> int:
        """Return where to read on: after what is held, else the log's start (the topic holds each row once)."""
        if self._behind:
            check_end(self._table.topic, self._behind, end)
            self._behind = None
        if self._position < start:
            self._rows = DayTable(self._table)
            self._position = start
        self._rows.retry()
        self._files.look_again()
        self._end = end
        self._stopping = self._flush = False
        self.ready = self._position >= end
        return self._position

    def feed(self, records: Sequence[ConsumerRecord], position: int) -> None:
        """Take rows."""
        oldest = self._oldest()
        for record in records:
            try:
                generation = generation_of(record.headers)
                self._rows.apply(record.key, record.value, record.offset, generation, oldest=oldest)
            except (BadRowError, ValueError) as error:  # the latter: of a generation
                # Somebody else's: the row that it names, if any, stays as it was, and all others go on.
                metrics.UNREADABLE_ROWS.labels(table=self._table.name).inc()
                log.error("a record of a daily topic is no row", topic=self._table.topic, error=str(error))  # noqa: TRY400 - the text says it all
        self._position = position
        if records and self._dirty_since is None and self._rows.first_unwritten() is not None:
            self._dirty_since = time.monotonic()
        if records or not self.ready:
            self.ready = self.ready or position >= self._end
            self._wake.set()

    def stop(self, *, flush: bool) -> None:
        """Let `run` end."""
        self._stopping, self._flush = True, flush
        self._wake.set()

    def done(self) -> int | None:
        """Return the offset up to which all rows are in files."""
        if not self.ready:
            return None
        first = self._rows.first_unwritten()
        return self._position if first is None else first

    def observe(self, lag: int) -> None:
        """Set the lane's metrics."""
        labels = {"topic": self._table.topic, "partition": str(self._shard)}
        metrics.LAG.labels(**labels).set(lag)
        metrics.ROWS.labels(**labels).set(self._rows.row_count())
        age = 0.0 if self._dirty_since is None else time.monotonic() - self._dirty_since
        metrics.DIRTY_SECONDS.labels(**labels).set(age)

    async def run(self) -> None:
        """Write each changed day when its interval has passed; a day that rested is written at once."""
        while not self._stopping or self._flush:
            self._wake.clear()
            self._rows.forget_before(self._oldest())
            self._rows.rest(dt for dt, at in self._written_at.items() if time.monotonic() - at > REST_S)
            due, wait_s = self._due()
            for dt in due:
                await self._write(dt)
                if self._stopping and not self._flush:
                    return
            if not due:
                if self._stopping:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), REST_S if wait_s is None else wait_s)

    def _due(self) -> tuple[list[str], float | None]:
        """Return the days to write now, and the seconds until the next one (None: none is waiting)."""
        if not self.ready:
            return [], None
        changed = self._rows.changed()
        if self._flush:
            return changed, None
        now = time.monotonic()
        waits = {dt: max(0.0, self._written_at[dt] + self._refresh_s - now) for dt in changed if dt in self._written_at}
        due = [dt for dt in changed if not waits.get(dt)]
        return due, min((wait for wait in waits.values() if wait), default=None)

    async def _write(self, dt: str) -> None:
        self._written_at[dt] = time.monotonic()
        try:
            await self._files.write(self._rows.snapshot(dt), self._position)
        except ReadAgainError as behind:
            self._behind = behind
            self._position, self.ready = -1, False
            raise
        self._rows.written(dt)
        self._dirty_since = None if self._rows.first_unwritten() is None else time.monotonic()

    def _oldest(self) -> str:
        return shift_dt(dt_of_ms(self._now_ms()), -FILE_DAYS)
