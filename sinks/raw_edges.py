"""The chunks next to a window of raw days: between them and the window's own, too, no offset may be missing.

Without them an object that is gone from the first or last days of a window would be taken for one that never was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from sinks.raw_days import Chunk, list_chunks
from sinks.store import Store
from streams.contract.days import shift_dt
from streams.contract.topics import EVENTS

#: How far from the window a chunk is looked for: as long as a partition of a live stack may well be quiet.
_LOOK_DAYS: Final = 32
#: Days that are listed together.
_STEP: Final = 8

#: Topic, by the beginning of its id, and partition.
Place = tuple[str, int]


def place_of(chunk: Chunk) -> Place:
    """Return where a chunk's records were."""
    return chunk.topic8, chunk.partition


class Edges:
    """Finds the chunks of windows of one lake, and around them; each day is listed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: dict[str, list[Chunk]] = {}

    async def between(self, days: Sequence[str]) -> list[Chunk]:
        """Return the chunks of days, in the order of deliveries."""
        await self._list(days)
        return sorted(chunk for day in days for chunk in self._listed[day])

    async def before(self, dt: str, places: Collection[Place]) -> list[Chunk]:
        """Return each partition's last chunk of the days before one, looking on until all of `places` have one."""
        return await self._nearest([shift_dt(dt, -days) for days in range(1, _LOOK_DAYS + 1)], places, newest=True)

    async def after(self, dt: str, places: Collection[Place], today: str) -> list[Chunk]:
        """Return each partition's first chunk of the days after one, looking on until all of `places` have one."""
        days = [day for after in range(1, _LOOK_DAYS + 1) if (day := shift_dt(dt, after)) <= today]
        return await self._nearest(days, places, newest=False)

    async def _nearest(self, days: Sequence[str], places: Collection[Place], *, newest: bool) -> list[Chunk]:
        found: dict[Place, Chunk] = {}
        for start in range(0, len(days), _STEP):
            step = days[start : start + _STEP]
            await self._list(step)
            for day in step:
                chunks: Iterable[Chunk] = reversed(self._listed[day]) if newest else self._listed[day]
                for chunk in chunks:
                    found.setdefault(place_of(chunk), chunk)
            if found.keys() >= set(places):
                break
        return sorted(found.values())

    async def _list(self, days: Sequence[str]) -> None:
        wanted = [day for day in days if day not in self._listed]
        self._listed |= {day: [] for day in wanted}
        for chunk in await list_chunks(self._store, wanted):
            if chunk.topic == EVENTS:
                self._listed[chunk.dt].append(chunk)
