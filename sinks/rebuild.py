"""`watchtime rebuild`: the files of a day, counted again from raw objects, compared, and written.

The day is counted as the reconciliation counts it, in SQL over columns. Nothing is written before the whole day is
counted, each file is one conditional PUT, and everything up to there can be repeated: a rebuild that was killed takes
up its work folder and goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sinks.keys import ANALYTICS
from sinks.layout import settle_layout
from sinks.progress import Report
from sinks.rebuild_count import counted
from sinks.rebuild_files import Day, Plan, plan_files, write_file
from sinks.rebuild_guard import OpenDayError, check_archive_is_whole, check_sinks_are_down, daily_topic_ids
from sinks.rebuild_part import Reading
from sinks.rebuild_shape import Shape, recorded_shape
from sinks.rebuild_sources import Source, find_objects, source_of
from sinks.reconcile import Beyond
from sinks.reconcile_day import Stack
from streams.contract.days import TOTALS_DAYS, DayRule, dt_of_ms, shift_dt
from streams.contract.rows import CLIENT, Table
from streams.contract.topics import daily_tables


class NothingCountedError(Exception):
    """No raw object has a line of the day, but there are files of it."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a rebuild was asked for."""

    dt: str
    #: Lakes and buckets to read beside the own archive.
    sources: Sequence[str] = ()
    reading: Reading
    #: Folder for what is made on the way.
    folder: Path
    #: Of a lake that has no files yet.
    default_shape: Shape


@dataclass(kw_only=True)
class Rebuilt:
    """What was counted, how the files differed, and what was written."""

    dt: str
    young: bool
    objects: int
    events: int
    rows: int
    #: Rows that are not in the files as they were counted.
    differing: int
    differences: list[dict[str, Any]]
    #: See `Beyond`.
    counted_again: int
    dropped: int
    #: Files that have to be written, and those that were.
    outdated: list[str]
    written: list[str] = field(default_factory=list)
    #: Other files in the day's folders, which queries read as well.
    strangers: list[str]


def is_young(dt: str, now_ms: int) -> bool:
    """Tell whether a day's rows may still change in the topics."""
    return dt >= shift_dt(dt_of_ms(now_ms), -TOTALS_DAYS)


class Rebuild:
    """The rebuild of one day: `prepare` counts and compares, `write` does what that found to be done."""

    def __init__(self, stack: Stack, wish: Wish) -> None:
        self._stack = stack
        self._wish = wish
        self._store = stack.lake.store()
        self._now_ms = time.time_ns() // 1_000_000
        #: What a lake without files is to remember of its days.
        self._new_rule: DayRule | None = None
        self._rebuilt: Rebuilt
        self._plan: Plan

    async def prepare(self, report: Report) -> Rebuilt:
        """Count the day and compare it with its files."""
        wish = self._wish
        young = is_young(wish.dt, self._now_ms)
        if young:
            await self._check_young(report)
        report("listing raw objects")
        findings = await find_objects(await self._sources(), wish.dt, dedupe=wish.reading.dedupe)
        if young:
            await check_archive_is_whole(self._stack, findings.continuity, wish.dt)
        topic_ids = await daily_topic_ids(self._stack) if young else {}
        elsewhere = any(found.foreign or found.source.store is not self._store for found in findings.objects)
        day = Day(dt=wish.dt, young=young, topic_ids=topic_ids, elsewhere=elsewhere)
        tables = await self._tables()
        async with counted(
            findings.objects,
            wish.dt,
            await self._day_rule(),
            reading=wish.reading,
            folder=wish.folder,
            report=report,
            tables=tables,
        ) as (recount, beyond):
            report("comparing")
            self._plan = await plan_files(recount, self._store, await self._shape(), day, tables)
            self._rebuilt = _rebuilt(day, recount.events(), len(findings.objects), beyond, self._plan)
        if not self._rebuilt.events and self._rebuilt.differing:
            raise NothingCountedError(
                f"no raw object has a line that counts on {wish.dt}, but there are files of it: they are left as they "
                "are. Were its raw objects deleted? Name a place that has them with --from"
            )
        return self._rebuilt

    async def write(self, report: Report) -> None:
        """Write the files that differ."""
        await settle_layout(self._store, *self._plan.shape, day_rule=self._new_rule)
        for number, file in enumerate(self._plan.files):
            report(f"writing file {number + 1} of {len(self._plan.files)}")
            await write_file(self._store, file)
            self._rebuilt.written.append(file.key)
        self.discard()

    def discard(self) -> None:
        """Remove the work folder: it names clients, and is of use only to a rebuild that is to go on."""
        shutil.rmtree(self._wish.folder, ignore_errors=True)

    async def _check_young(self, report: Report) -> None:
        if self._wish.sources:
            closed = shift_dt(dt_of_ms(self._now_ms), -TOTALS_DAYS)
            raise OpenDayError(
                f"{self._wish.dt} may still change, and the stack writes it from its topics, which know nothing of "
                f"--from: days before {closed} can be filled in from elsewhere"
            )
        await check_sinks_are_down(self._stack, report)

    async def _sources(self) -> list[Source]:
        own = self._stack.lake
        sources = [Source(own.url, self._store, foreign=False)]
        for url in self._wish.sources:
            source = await source_of(url, own, self._store)
            # Naming the own lake asks for what the reference left in it.
            sources = [*(known for known in sources if known.url != source.url), source]
        return sources

    async def _shape(self) -> Shape:
        return await recorded_shape(self._store) or self._wish.default_shape

    async def _day_rule(self) -> DayRule:
        if await recorded_shape(self._store) is None:
            self._new_rule = self._stack.day_rule
        return await self._stack.rule_of_days(self._store)

    async def _tables(self) -> list[Table]:
        client_table = self._stack.client_table
        if client_table is None:
            client_table = bool(await self._store.folders(f"{ANALYTICS}{CLIENT.name}/"))
        return daily_tables(client_table=client_table)


def _rebuilt(day: Day, events: int, objects: int, beyond: Beyond, plan: Plan) -> Rebuilt:
    return Rebuilt(
        dt=day.dt,
        young=day.young,
        objects=objects,
        events=events,
        rows=plan.drift.rows,
        differing=plan.drift.differing,
        differences=plan.drift.examples,
        counted_again=beyond.counted_again,
        dropped=beyond.dropped,
        outdated=[file.key for file in plan.files],
        strangers=plan.strangers,
    )
