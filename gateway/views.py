"""Views of a day for the live page: each is made and encoded once and shared by all who look at that day.

A view is made only when something in it may have changed: the rows of the day, the days that there are, or what is
known of the pipeline. Its id is a hash of its content, so a viewer who comes back with the id of the newest view,
from this process or another, has it already.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final, NamedTuple

import orjson

from gateway.held_days import totals_of
from gateway.lake_store import LakeError
from gateway.shown_days import ShownDays
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

    def __init__(self, days: ShownDays) -> None:
        self._days = days
        #: (what it was made of, view) by day; the day longest unseen first.
        self._kept: OrderedDict[str, tuple[Hashable, View]] = OrderedDict()

    def newest(self, given: str | None) -> View:
        """Return the newest view of a day; None: of today."""
        today = self._days.today()
        dt = given or today
        state = today, self._days.state(dt)
        kept = self._kept.get(dt)
        if kept is None or kept[0] != state:
            kept = self._kept[dt] = state, self._make(dt)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(dt)
        return kept[1]

    def _make(self, dt: str) -> View:
        data = orjson.dumps(self._content(dt))
        view_id = hashlib.blake2b(data, digest_size=8).hexdigest()
        return View(view_id, b"id: %b\nevent: view\ndata: %b\n\n" % (view_id.encode(), data))

    def _content(self, dt: str) -> dict[str, Any]:
        day = self._days.peek(dt)
        about = {"dt": dt, "today": self._days.today(), "days": self._days.days(), "from": self._days.source(dt)}
        if isinstance(day, float):
            return about | {"loading": day}
        if isinstance(day, LakeError):
            return about | {"error": f"The files of this day cannot be read: {day}"}
        hours = day.rows(HOUR, 24)
        return about | {
            "totals": totals_of(hours),
            "hours": hours,
            "videos": day.rows(VIDEO, TOP),
            "channels": day.rows(CHANNEL, TOP),
            "held": {table.kind: day.count(table) for table in (VIDEO, CHANNEL)},
            "ingest": next(iter(day.rows(INGEST, 1)), None),
            "health": self._days.reader.health,
        }
