"""The daily tables: their columns, in the order of files and topics, and the values of their rows.

All counters are 64-bit integers; those named `_ms` are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

Kind = Literal["video", "channel", "hour", "ingest", "client"]

#: Counters that a fold keeps for video, channel, hour and client rows, in the order of its lists.
WATCH_COUNTERS: Final = ("watch_ms_fg", "watch_ms_bg", "views", "ad_ms")
#: Counters of an ingest row, in the order of a fold's lists.
INGEST_COUNTERS: Final = (
    "total_events",
    "valid_events",
    "invalid_events",
    "ignored_no_video_ticks",
    "ignored_no_channel_ticks",
    "duplicate_events",
    "moved_events",
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """One daily table: lake folder, topic and columns share the name."""

    kind: Kind
    #: Folder in the lake and, behind `watch.`, name of the topic.
    name: str
    #: Column that tells rows of a day apart; None: one row a day.
    id_column: str | None
    #: Whether the id is a number in rows and sorts as one.
    numeric_id: bool = False
    #: Whether rows carry a `channel` label.
    labelled: bool = False

    @property
    def topic(self) -> str:
        """Name of the compacted topic that holds the rows."""
        return f"watch.{self.name}"

    @property
    def counters(self) -> tuple[str, ...]:
        """Names of the counters that a fold keeps, in the order of its lists."""
        return INGEST_COUNTERS if self.kind == "ingest" else WATCH_COUNTERS

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a row, `dt` first, in the reference's order."""
        if self.kind == "ingest":
            return ("dt", *INGEST_COUNTERS)
        label = ("channel",) if self.labelled else ()
        return ("dt", str(self.id_column), *label, "watch_ms", *WATCH_COUNTERS)

    def is_text(self, column: str) -> bool:
        """Tell whether a column holds text; all others hold 64-bit numbers."""
        return column in {"dt", "channel"} or (column == self.id_column and not self.numeric_id)


VIDEO: Final = Table(kind="video", name="video_daily", id_column="video_id", labelled=True)
CHANNEL: Final = Table(kind="channel", name="channel_daily", id_column="channel")
HOUR: Final = Table(kind="hour", name="hour_daily", id_column="hour", numeric_id=True)
INGEST: Final = Table(kind="ingest", name="ingest_daily", id_column=None)
CLIENT: Final = Table(kind="client", name="client_daily", id_column="client_id")
TABLES: Final = (VIDEO, CHANNEL, HOUR, INGEST, CLIENT)
TABLE_BY_KIND: Final[dict[str, Table]] = {table.kind: table for table in TABLES}
TABLE_BY_TOPIC: Final[dict[str, Table]] = {table.topic: table for table in TABLES}


def row_of(table: Table, dt: str, row_id: str, counters: list[int], channel: str | None) -> dict[str, Any]:
    """Return a row with the table's columns from a fold's counters (order of `table.counters`)."""
    if table.kind == "ingest":
        return {"dt": dt, **dict(zip(INGEST_COUNTERS, counters, strict=True))}
    row: dict[str, Any] = {"dt": dt, str(table.id_column): int(row_id) if table.numeric_id else row_id}
    if table.labelled:
        row["channel"] = channel
    row["watch_ms"] = counters[0] + counters[1]
    row.update(zip(WATCH_COUNTERS, counters, strict=True))
    return row


def encode_row(row: dict[str, Any], updated_at: int) -> bytes:
    """Return the value of a daily topic: the row plus `updated_at` (append time of its newest raw record, ms)."""
    return orjson.dumps({**row, "updated_at": updated_at})
