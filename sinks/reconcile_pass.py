"""One look at days: their raw lines are read and counted, and what comes out is compared with their files.

Days are looked at in order, and each raw object is read once, though it matters to 25 days.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sinks.file_rows import UnreadableFileError, read_rows
from sinks.keys import ANALYTICS, FileKey
from sinks.line_columns import UnreadableLineError
from sinks.part_writers import PartWriters, together
from sinks.progress import Report
from sinks.provenance import ElsewhereError, ForeignObjectError, is_from_elsewhere
from sinks.raw_days import Chunk, Continuity, RawHoleError, raw_days_of, read_chunk
from sinks.raw_edges import Edges, Place, place_of
from sinks.rebuild_lines import BrokenObjectError
from sinks.rebuild_part import Order, Reading
from sinks.reconcile_compare import Drift, compare, load_files
from sinks.reconcile_day import Finding, check_against_log
from sinks.reconcile_rolling import RollingRecount
from sinks.reconcile_settle import Log, Offsets
from sinks.store import Store
from streams.contract.days import DayRule, dt_of_ms
from streams.contract.rows import Table

#: Told how many raw objects are read, and of how many.
Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A day that was compared."""

    finding: Finding
    drift: Drift
    #: Whether lines may still come in that count on the day.
    is_open: bool

    @property
    def dt(self) -> str:
        """The day."""
        return self.finding.dt


@dataclass(frozen=True, kw_only=True)
class Untold:
    """A day about which nothing can be said."""

    dt: str
    why: Exception


Outcome = Compared | Untold


class Source(NamedTuple):
    """What is looked at, and how it counts."""

    store: Store
    log: Log
    day_rule: DayRule
    tables: Sequence[Table]


class Pass:
    """One look at some days; used once."""

    def __init__(self, source: Source, report: Report, advance: Advance) -> None:
        self._store, self._log = source.store, source.log
        self._source = source
        self._edges = Edges(source.store)
        self._report = report
        self._advance = advance
        #: In the order of deliveries.
        self._chunks: list[Chunk] = []
        self._metadata: dict[str, dict[str, str]] = {}
        self._read = 0
        #: Raw day up to which all is read.
        self._taken = ""
        #: Raw days whose objects cannot be read, and why.
        self._broken: dict[str, Exception] = {}

    async def run(self, days: Sequence[str], ends: Offsets, current: str) -> AsyncGenerator[Outcome, None]:
        """Yield what there is to say of each day; `ends` are the raw ends that files and archive cover."""
        raw_days = sorted({raw_day for dt in days for raw_day in raw_days_of(dt)})
        self._report("listing raw objects")
        self._chunks = await self._edges.between(raw_days)
        with tempfile.TemporaryDirectory(prefix="watchtime-reconcile-") as folder:
            recount = RollingRecount(self._source.day_rule, Path(folder))
            try:
                with PartWriters(len(self._chunks)) as writers:
                    for dt in days:
                        last = raw_days_of(dt)[-1]
                        await self._take(recount, writers, Path(folder), last)
                        yield await self._look(recount, dt, ends, current)
            finally:
                recount.close()

    async def _take(self, recount: RollingRecount, writers: PartWriters, folder: Path, last: str) -> None:
        """Read what has not been read of the raw days up to `last`."""

        async def take(number: int, chunk: Chunk) -> None:
            path = folder / f"{number}.parquet"
            order = Order(chunk.key, chunk.dt, number, foreign=False, reading=Reading(), path=path)
            try:
                found = await writers.write(order, lambda: read_chunk(self._store, chunk))
            except (BrokenObjectError, RawHoleError, UnreadableLineError) as why:
                self._broken.setdefault(chunk.dt, why)
            else:
                self._metadata[chunk.key] = dict(found.stat.metadata)
                recount.add_part(chunk.dt, path)
            self._read += 1
            self._report(f"reading raw objects: {self._read:,} of {len(self._chunks):,}")
            self._advance(self._read, len(self._chunks))

        wanted = [(number, chunk) for number, chunk in enumerate(self._chunks) if self._taken < chunk.dt <= last]
        await together(take(number, chunk) for number, chunk in wanted)
        self._taken = last

    async def _look(self, recount: RollingRecount, dt: str, ends: Offsets, current: str) -> Outcome:
        raw_days = raw_days_of(dt)
        today = dt_of_ms(time.time_ns() // 1_000_000)
        is_open = raw_days[-1] >= today
        chunks = [chunk for chunk in self._chunks if raw_days[0] <= chunk.dt <= raw_days[-1]]
        for raw_day in raw_days:
            if raw_day in self._broken:
                return Untold(dt=dt, why=self._broken[raw_day])
        try:
            # What came in after the archive had reached the raw ends may be in chunks that were not listed or read.
            reached = {(current, place.partition): end for place, end in ends.items()}
            continuity = await self._continuity(chunks, raw_days, today, reached)
            # A window that ends before today may leave out newer chunks; one that does not must reach the raw ends.
            if is_open:
                await check_against_log(continuity, current, self._log, ends, raw_days)
        except (RawHoleError, ForeignObjectError) as why:
            return Untold(dt=dt, why=why)
        self._report("counting")
        await asyncio.to_thread(recount.stand_at, dt, raw_days)
        beyond = await asyncio.to_thread(recount.judge, self._source.tables)
        try:
            drift = await self._compare(recount)
        except ElsewhereError as why:
            return Untold(dt=dt, why=why)
        finding = Finding(
            dt=dt,
            drift=drift.differing,
            rows=drift.rows,
            events=recount.events(),
            chunks=len(chunks),
            counted_again=beyond.counted_again,
            dropped=beyond.dropped,
            differences=drift.examples,
        )
        return Compared(finding=finding, drift=drift, is_open=is_open)

    async def _continuity(
        self, chunks: Sequence[Chunk], raw_days: Sequence[str], today: str, reached: Mapping[Place, int]
    ) -> Continuity:
        """Return what the chunks of a window hold; RawHoleError when some are missing, at its edges too."""
        continuity, places = Continuity(), {place_of(chunk) for chunk in chunks}
        for chunk in await self._edges.before(raw_days[0], places):
            places.add(place_of(chunk))
            metadata: Mapping[str, str] = self._metadata.get(chunk.key, {})
            if not metadata and (stat := await self._store.head(chunk.key)) is not None:
                metadata = stat.metadata
            with contextlib.suppress(ForeignObjectError):  # of another day, which will say so
                continuity.see(chunk, metadata)
        for chunk in chunks:
            continuity.see(chunk, self._metadata[chunk.key])
        for chunk in await self._edges.after(raw_days[-1], places, today):
            if chunk.first <= reached.get(place_of(chunk), chunk.first):
                continuity.follow(chunk)
        return continuity

    async def _compare(self, recount: RollingRecount) -> Drift:
        drift, dt, elsewhere = Drift(), recount.dt, ""
        for table in self._source.tables:
            self._report(f"comparing {table.name}")
            files = []
            for key in await self._store.keys(f"{ANALYTICS}{table.name}/dt={dt}/"):
                name, found = FileKey.parse(key), await self._store.get(key)
                if name is None or found is None:
                    continue
                if is_from_elsewhere(found.stat.metadata):
                    elsewhere = key
                try:
                    files.append(read_rows(table, name, found.body))
                except UnreadableFileError as error:
                    drift.add_unreadable(table, dt, key, str(error))
            load_files(recount.connection, table, files)
            compare(recount.connection, table, dt, drift)
        if drift.differing and elsewhere:
            raise ElsewhereError(
                f"{drift.differing} rows of {dt} are not what the archive says, but {elsewhere} was "
                "written by `watchtime rebuild --from` out of raw objects that are not in it: "
                f"`watchtime rebuild --dt {dt} --from …` compares the day with them"
            )
        return drift
