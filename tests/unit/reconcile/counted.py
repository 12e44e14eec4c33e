"""Events for a recount, and what it came to."""

from __future__ import annotations

from typing import Any

from sinks.reconcile import Recount
from streams.contract.rows import TABLE_BY_KIND

DAY = "2026-03-10"
NOON = 1_773_144_000_000  # 2026-03-10T12:00:00Z
HOUR = 3_600_000

ABSENT = object()
_ids = iter(range(10**9))


def event(event_type: str = "watch_tick", **fields: Any) -> dict[str, Any]:
    made = {
        "schema": 1,
        "event_id": fields.pop("event_id", None) or f"e{next(_ids)}",
        "event_ts": NOON,
        "event_type": event_type,
        "client_session_id": "c1",
        "client_id": "c1",
        "tab_id": "t",
        "video_id": "v",
        "channel_name": "ch",
        "received_at": NOON,
    }
    if event_type == "watch_tick":
        made["watch_ms_delta"] = 1_000
    made.update(fields)
    return {name: value for name, value in made.items() if value is not ABSENT}


def rows(recount: Recount, kind: str) -> list[dict[str, Any]]:
    table = TABLE_BY_KIND[kind]
    cursor = recount.connection.execute(f"FROM expected_{table.name} ORDER BY ALL")
    return [
        {
            name: cell.decode() if isinstance(cell, bytes) else cell
            for name, cell in zip(table.columns, cells, strict=True)
        }
        for cells in cursor.fetchall()
    ]


def ingest(recount: Recount) -> dict[str, int]:
    (row,) = rows(recount, "ingest")
    return {name: value for name, value in row.items() if value and name != "dt"}


def watch(fg: int = 0, bg: int = 0, views: int = 0, ad: int = 0) -> dict[str, int]:
    return {"watch_ms": fg + bg, "watch_ms_fg": fg, "watch_ms_bg": bg, "views": views, "ad_ms": ad}
