"""A day counted again from raw lines, in SQL: the independent path that the daily files are compared with.

Everything is in DuckDB tables of a temporary file, so that a day larger than memory spills to disk. Shares names,
columns and time limits with the contract, and no counting code with the streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from sinks import reconcile_sql as sql
from sinks.reconcile_window import Window
from streams.contract.days import DayRule
from streams.contract.rows import TABLES, Table

#: What DuckDB may hold, beside which the process and its workers stay under 2 GiB.
_MEMORY: Final = "1GB"


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """Events that the bounded window of repeats judges otherwise than exact counting."""

    #: Repeats that count again, because the window had forgotten the first delivery.
    counted_again: int
    #: First deliveries that do not count, because their gap had been closed.
    dropped: int


class Recount:
    """One day of raw lines; `look_at` them, then `judge`, then read the tables.

    The expected rows of a table are in `expected_<name>`, ids and channels as bytes of UTF-8.
    """

    def __init__(self, dt: str, day_rule: DayRule, folder: Path | None) -> None:
        """Prepare an empty recount of `dt`; `folder` takes the database and what spills (None: all in memory)."""
        self.dt = dt
        self.day_rule: Final = day_rule
        self.connection: Final = duckdb.connect(folder / "recount.duckdb" if folder else ":memory:")
        self.connection.execute("SET preserve_insertion_order = false")
        if folder:
            # What does not fit spills into files there.
            self.connection.execute(f"SET memory_limit = '{_MEMORY}'")
        self.connection.execute("SET TimeZone = 'UTC'")
        # In a session that it takes for interactive DuckDB draws on standard output, where programs read an answer.
        self.connection.execute("SET enable_progress_bar = false")

    def close(self) -> None:
        """Release the database."""
        self.connection.close()

    def look_at(self, paths: Sequence[Path]) -> None:
        """Take the lines that are columns in these files, places in the order of deliveries; nothing is copied."""
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        source = f"read_parquet([{files}])" if paths else f"({sql.NO_LINES})"
        self.connection.execute(f"CREATE OR REPLACE VIEW line AS {sql.with_slots(self.day_rule, source)}")

    def judge(self, tables: Sequence[Table] = TABLES) -> Beyond:
        """Find the repeats, count the day's rows of these tables, and return what went beyond the window."""
        self.connection.execute(sql.EXACT)
        beyond = self._apply_windows()
        self.connection.execute(sql.counted(self.dt))
        self.connection.execute(sql.GROUPED)
        for table in tables:
            self.connection.execute(sql.count_table(table), {"dt": self.dt})
        return beyond

    def events(self) -> int:
        """Return how many events count on the day, each once."""
        (total,) = self.connection.execute(
            "SELECT coalesce(sum(total_events), 0) FROM expected_ingest_daily"
        ).fetchone() or (0,)
        return int(total)

    def _apply_windows(self) -> Beyond:
        clients = self.connection.execute(sql.WIDE_CLIENTS).fetchall()
        counted_again: list[int] = []
        dropped: list[int] = []
        for (client,) in clients:
            window = Window()
            for at, epoch, seq, event_id, repeat in self._deliveries(client):
                first = window.is_first(epoch, seq, event_id)
                if first and repeat:
                    counted_again.append(at)
                elif not first and not repeat:
                    dropped.append(at)
        self.connection.execute("DELETE FROM repeat WHERE place IN (SELECT unnest(?::BIGINT[]))", [counted_again])
        self.connection.execute("INSERT INTO repeat SELECT unnest(?::BIGINT[])", [dropped])
        return Beyond(counted_again=len(counted_again), dropped=len(dropped))

    def _deliveries(self, client: bytes) -> Iterator[tuple[int, bytes | None, int | None, bytes | None, bool]]:
        cursor = self.connection.cursor()
        cursor.execute(sql.DELIVERIES, [client])
        while rows := cursor.fetchmany(10_000):
            yield from rows
