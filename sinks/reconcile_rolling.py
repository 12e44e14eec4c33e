"""The recount of one day after the other: raw days come in at the front and leave at the back.

Each raw object is a file of columns, made once, however many days it matters to, and gone when no more day needs it:
a range of years needs no more room than one day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sinks.reconcile import Recount
from streams.contract.days import DayRule
from streams.contract.rows import TABLES

#: Made by a judgement, and made anew by the next one.
_JUDGED: Final = ("repeat", "grouped", *(f"expected_{table.name}" for table in TABLES))


class RollingRecount(Recount):
    """`add_part` what matters to a day, `stand_at` it, then `judge` it; and so on with the day after."""

    def __init__(self, day_rule: DayRule, folder: Path) -> None:
        """Prepare an empty recount; `folder` takes the database and what spills."""
        super().__init__("", day_rule, folder)
        self._parts: Final[dict[str, list[Path]]] = defaultdict(list)

    def add_part(self, raw_day: str, path: Path) -> None:
        """Take in the lines of an object of a raw day; the file is this recount's from now on."""
        self._parts[raw_day].append(path)

    def stand_at(self, dt: str, raw_days: Collection[str]) -> None:
        """Turn to the next day: of the lines taken in, those of `raw_days` are kept, and only they are looked at."""
        self.dt = dt
        self.connection.execute("DROP VIEW IF EXISTS counted")
        for name in _JUDGED:
            self.connection.execute(f"DROP TABLE IF EXISTS {name}")
        for raw_day in set(self._parts).difference(raw_days):
            for path in self._parts.pop(raw_day):
                path.unlink()
        self.look_at([path for raw_day in sorted(self._parts) for path in self._parts[raw_day]])
