"""Views of a day for the live page: each is made and encoded once and shared by all who look at that day.

A view is asked for again and again, but made only when something in it may have changed: the rows of the day, the
days that there are, or what is known of the pipeline. Its id is a hash of its content, so a viewer who comes back with
the id of the newest view, from this process or another, has it already.
"""

from __future__ import annotations

import datetime
import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

import orjson

from gateway.daily_reader import Reader
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO

TOP: Final = 12
#: Days whose newest view is kept.
_KEPT: Final = 64


class View(NamedTuple):
    """A view of a day as a server-sent event."""

    view_id: str
    message: bytes


class Views:
    """The newest view of each day that is looked at."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        #: (what it was made of, view) by day; the day longest unseen first.
        self._kept: OrderedDict[str, tuple[Hashable, View]] = OrderedDict()
        #: How many were made.
        self.made = 0

    def newest(self, given: str | None) -> View:
        """Return the newest view of a day; None: of today."""
        reader = self._reader
        dt = given or self.today()
        state: Hashable
        if reader.caught_up.is_set():
            health = tuple(reader.health.values())
            state = self.today(), reader.days.versions.get(dt, 0), len(reader.days.days()), health
        else:
            state = round(reader.progress, 2)
        kept = self._kept.get(dt)
        if kept is None or kept[0] != state:
            kept = self._kept[dt] = state, self._make(dt)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(dt)
        return kept[1]

    def today(self) -> str:
        """Return the day of now (UTC) if it has rows, else the newest one, else that of now."""
        now = datetime.datetime.now(datetime.UTC).date().isoformat()
        days = self._reader.days.days()
        return now if now in days or not days else days[0]

    def _make(self, dt: str) -> View:
        self.made += 1
        data = orjson.dumps(self._content(dt))
        view_id = hashlib.blake2b(data, digest_size=8).hexdigest()
        return View(view_id, b"id: %b\nevent: view\ndata: %b\n\n" % (view_id.encode(), data))

    def _content(self, dt: str) -> dict[str, Any]:
        reader, days = self._reader, self._reader.days
        if not reader.caught_up.is_set():
            return {"loading": round(reader.progress, 2)}
        return {
            "dt": dt,
            "today": self.today(),
            "days": days.days(),
            "totals": days.totals(dt),
            "hours": days.rows(HOUR, dt, 24),
            "videos": days.rows(VIDEO, dt, TOP),
            "channels": days.rows(CHANNEL, dt, TOP),
            "held": {table.kind: days.count(table, dt) for table in (VIDEO, CHANNEL)},
            "ingest": next(iter(days.rows(INGEST, dt, 1)), None),
            "health": reader.health,
        }
