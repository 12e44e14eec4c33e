"""The recount of one day after the other: raw days come in at the front and leave at the back.

Each raw day has a table of its own, so that its lines are read once, however many days they matter to, and a range
of years needs no more room than one day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from sinks import reconcile_sql as sql
from sinks.reconcile import Recount
from sinks.reconcile_lines import RawLine, batches
from streams.contract.days import DayRule
from streams.contract.rows import TABLES

#: Made by a judgement, and made anew by the next one.
_JUDGED: Final = ("repeat", "grouped", *(f"expected_{table.name}" for table in TABLES))


class RollingRecount(Recount):
    """`add_raw_day` what matters to a day, `stand_at` it, then `judge` it; and so on with the day after."""

    def __init__(self, day_rule: DayRule, folder: Path) -> None:
        """Prepare an empty recount; `folder` takes the database and what spills."""
        super().__init__("", day_rule, folder)
        self.connection.execute("DROP TABLE line")
        self._raw_days: Final[set[str]] = set()

    def add_raw_day(self, raw_day: str, lines: Iterable[RawLine]) -> None:
        """Take in lines of a raw day."""
        if raw_day not in self._raw_days:
            self._raw_days.add(raw_day)
            self.connection.execute(sql.create_line(_name(raw_day)))
        for batch in batches(lines):
            self.connection.register("batch", batch)
            self.connection.execute(f"INSERT INTO {_name(raw_day)} {sql.with_slots(self.day_rule)}")
            self.connection.unregister("batch")

    def stand_at(self, dt: str, raw_days: Collection[str]) -> None:
        """Turn to the next day: of the lines taken in, those of `raw_days` are kept, and only they are looked at."""
        self.dt = dt
        for raw_day in self._raw_days.difference(raw_days):
            self.connection.execute(f"DROP TABLE {_name(raw_day)}")
        self._raw_days.intersection_update(raw_days)
        for name in _JUDGED:
            self.connection.execute(f"DROP TABLE IF EXISTS {name}")
        self.connection.execute("DROP VIEW IF EXISTS counted")
        self.connection.execute(sql.create_line("no_line", anew=True))
        tables = ["no_line", *(_name(raw_day) for raw_day in sorted(self._raw_days))]
        self.connection.execute(
            "CREATE OR REPLACE VIEW line AS " + " UNION ALL ".join(f"FROM {name}" for name in tables)
        )


def _name(raw_day: str) -> str:
    return f'"line {raw_day}"'
