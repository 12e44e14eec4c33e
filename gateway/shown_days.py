"""The days that the live page can show, and where each comes from: the daily topics, or the files of the lake."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Hashable
from typing import Any, Final, Protocol

from aiohttp import web

from gateway.daily_reader import Reader
from gateway.held_days import HeldDays
from gateway.lake_days import LakeDays
from gateway.lake_store import LakeError
from streams.contract.rows import Table

TOPICS: Final = "topics"
LAKE: Final = "lake"


class Day(Protocol):
    """Rows of one day."""

    def rows(self, table: Table, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Return rows, the most watched first (hours by hour), whose id or channel holds `search`."""

    def count(self, table: Table) -> tuple[int, bool]:
        """Return how many rows are held, and whether there are more."""


class TopicDay:
    """A day as held from the topics."""

    def __init__(self, days: HeldDays, dt: str) -> None:
        self._days = days
        self._dt = dt

    def rows(self, table: Table, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Return rows, as `Day` says."""
        return self._days.rows(table, self._dt, limit, search)

    def count(self, table: Table) -> tuple[int, bool]:
        """Return how many rows are held, and whether there are more."""
        return self._days.count(table, self._dt)


class LoadingError(Exception):
    """The daily topics are still being read; come back in a moment."""


class ShownDays:
    """All days; `lake` is None for a gateway that shows only what the topics hold."""

    def __init__(self, reader: Reader, lake: LakeDays | None = None) -> None:
        self.reader: Final = reader
        self._lake = lake

    def days(self) -> list[str]:
        """Return the days there are, the newest first."""
        held = self.reader.days.days()
        return sorted({*held, *self._lake.days()}, reverse=True) if self._lake else held

    def today(self) -> str:
        """Return the day of now (UTC) if it has rows, else the newest one in the topics, else that of now."""
        now = datetime.datetime.now(datetime.UTC).date().isoformat()
        held = self.reader.days.days()
        return now if now in held or not held else held[0]

    def source(self, dt: str) -> str:
        """Return where a day comes from: old days from the lake, recent ones from the topics if they hold them."""
        lake, held = self._lake, self.reader
        if lake is None:
            return TOPICS
        if lake.is_old(dt):
            return LAKE if lake.may_have(dt) else TOPICS
        return LAKE if held.caught_up.is_set() and dt not in held.days.days() and dt in lake.days() else TOPICS

    def state(self, dt: str) -> Hashable:
        """Return something that is another one when anything that `peek` shows of a day is."""
        reader = self.reader
        if self._lake is not None and self.source(dt) == LAKE:
            found = self._lake.peek(dt)
            return LAKE, id(found), len(self.days())
        if not reader.caught_up.is_set():
            return TOPICS, round(reader.progress, 2)
        return TOPICS, reader.days.versions.get(dt, 0), len(self.days()), *reader.health.values()

    def peek(self, dt: str) -> Day | LakeError | float:
        """Return a day, or why the lake does not give it, or the part of it that has been read, 0 to 1."""
        if self._lake is not None and self.source(dt) == LAKE:
            found = self._lake.peek(dt)
            return 0.0 if found is None else found
        return TopicDay(self.reader.days, dt) if self.reader.caught_up.is_set() else round(self.reader.progress, 2)

    async def load(self, dt: str, within_s: float) -> Day:
        """Return a day; LakeError when the lake does not give it, LoadingError when topics are still being read."""
        self.reader.look()
        if self._lake is not None:
            await self._lake.listed()
        if self.source(dt) == TOPICS and not await self.reader.ready(within_s):
            raise LoadingError
        if self._lake is not None and self.source(dt) == LAKE:
            return await self._lake.load(dt)
        return TopicDay(self.reader.days, dt)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Read topics while the application runs and somebody looks."""
        async for _ in self.reader.run(app):
            yield
        if self._lake is not None:
            self._lake.close()
