"""What the daily rows must be, counted plainly from raw records: the rules read once more, with sets and dictionaries.

It shares no code with the project. Windows of repeats are unbounded here, but for a client's last 1,024 ids.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WATCH = ("watch_ms", "watch_ms_fg", "watch_ms_bg", "views", "ad_ms")
INGEST = (
    "total_events",
    "valid_events",
    "invalid_events",
    "ignored_no_video_ticks",
    "ignored_no_channel_ticks",
    "duplicate_events",
    "moved_events",
)
ID_COLUMN = {"video_daily": "video_id", "channel_daily": "channel", "hour_daily": "hour", "client_daily": "client_id"}

#: (table, dt, id); the id of an ingest row is "".
RowKey = tuple[str, str, Any]


@dataclass(frozen=True)
class RawRecord:
    """A record of the raw topic; `forget`: the client of a control record."""

    p: int
    offset: int
    broker_ms: int
    value: bytes = b""
    forget: str | None = None


@dataclass
class Window:
    """What a client sent so far."""

    last_hour: int
    numbers: set[tuple[str, int]] = field(default_factory=set)
    ids: deque[str] = field(default_factory=lambda: deque(maxlen=1_024))


@dataclass(frozen=True)
class Counted:
    """A valid event, and where it counts."""

    event: dict[str, Any]
    client: str | None
    broker_ms: int
    delivery: int
    dt: str
    hour: int

    def rows(self) -> list[RowKey]:
        """The rows that what is counted goes to, but the client's."""
        video, channel = text(self.event.get("video_id")), text(self.event.get("channel_name"))
        rows: list[RowKey] = [("video_daily", self.dt, video), ("hour_daily", self.dt, self.hour)] if video else []
        return [*rows, ("channel_daily", self.dt, channel)] if channel else rows


def plain_rows(records: Iterable[RawRecord], rule: str = "event", *, client_table: bool = False) -> dict[RowKey, Any]:
    """Return every row with its columns in order and `updated_at`, as a daily topic holds it in the end."""
    fold = _Fold(rule, client_table=client_table)
    for record in records:
        if record.forget is not None:
            fold.windows.pop((record.p, record.forget), None)
            for key in [k for k in fold.counters if k[0] == "client_daily" and k[2] == record.forget]:
                del fold.counters[key], fold.updated[key]
            continue
        pieces = record.value.split(b"\n")
        for line in pieces if pieces[-1] else pieces[:-1]:
            fold.line(record, line)
    return {key: fold.row(key) for key in fold.counters}


class _Fold:
    def __init__(self, rule: str, *, client_table: bool) -> None:
        self.rule = rule
        self.client_table = client_table
        self.windows: dict[tuple[int, str], Window] = {}
        self.counters: dict[RowKey, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.updated: dict[RowKey, int] = {}
        self.labels: dict[tuple[str, str], tuple[int, bytes]] = {}

    def add(self, broker_ms: int, key: RowKey, **amounts: int) -> None:
        for column, amount in amounts.items():
            self.counters[key][column] += amount
        self.updated[key] = max(self.updated.get(key, 0), broker_ms)

    def ingest(self, broker_ms: int, dt: str, *columns: str) -> None:
        self.add(broker_ms, ("ingest_daily", dt, ""), **dict.fromkeys(columns, 1))

    def line(self, record: RawRecord, line: bytes) -> None:
        broker_ms = record.broker_ms
        event = parsed(line)
        if event is None or any(event.get(name) is None for name in ("event_type", "event_ts", "tab_id")):
            self.ingest(broker_ms, day_and_hour(broker_ms)[0], "total_events", "invalid_events")
            return
        received_at = integer(event.get("received_at"))
        near = received_at is not None and abs(received_at - broker_ms) <= HOUR
        delivery = received_at if near else broker_ms
        dt, hour, moved = self.slot(event, delivery)
        client = text(event.get("client_id")) or text(event.get("client_session_id"))
        if client and self.is_repeat(record, event, client):
            self.ingest(broker_ms, dt, "duplicate_events")
            return
        self.ingest(broker_ms, dt, "total_events", "valid_events", *(["moved_events"] if moved else []))
        counted = Counted(event, client, broker_ms, delivery, dt, hour)
        if event["event_type"] == "video_start":
            self.count(counted, views=1)
        elif event["event_type"] == "watch_tick":
            self.tick(counted)

    def slot(self, event: dict[str, Any], delivery: int) -> tuple[str, int, bool]:
        if self.rule == "received":
            return (*day_and_hour(delivery), False)
        instant, moved = integer(event.get("event_ts")), False
        if instant is None or instant < delivery - 7 * DAY or instant > delivery + 10 * MINUTE:
            instant, moved = delivery, True
        offset = integer(event.get("tz_offset_min"))
        if self.rule == "local" and offset is not None and -840 <= offset <= 840:
            instant -= offset * MINUTE
        return (*day_and_hour(instant), moved)

    def is_repeat(self, record: RawRecord, event: dict[str, Any], client: str) -> bool:
        hour = record.broker_ms // HOUR
        window = self.windows.get((record.p, client))
        if window is None or hour - window.last_hour > 35 * 24:
            window = self.windows[record.p, client] = Window(hour)
        window.last_hour = hour
        seq, epoch, event_id = integer(event.get("seq")), text(event.get("seq_epoch")), event.get("event_id")
        if seq is not None and 0 <= seq <= 2**53 - 1 and epoch:
            if (epoch, seq) in window.numbers:
                return True
            window.numbers.add((epoch, seq))
        elif isinstance(event_id, str):
            if event_id in window.ids:
                return True
            window.ids.append(event_id)
        return False

    def tick(self, at: Counted) -> None:
        delta = integer(at.event.get("watch_ms_delta"))
        if delta is None or not 1 <= delta <= 60_000:
            return
        if not text(at.event.get("video_id")):
            self.ingest(at.broker_ms, at.dt, "ignored_no_video_ticks")
            return
        if not text(at.event.get("channel_name")):
            self.ingest(at.broker_ms, at.dt, "ignored_no_channel_ticks")
        if at.event.get("ad") is True:
            self.count(at, ad_ms=delta)
        elif at.event.get("watch_mode") == "background":
            self.count(at, watch_ms=delta, watch_ms_bg=delta)
        else:
            self.count(at, watch_ms=delta, watch_ms_fg=delta)

    def count(self, at: Counted, **amounts: int) -> None:
        for key in at.rows():
            self.add(at.broker_ms, key, **amounts)
        video, channel = text(at.event.get("video_id")), text(at.event.get("channel_name"))
        if video and at.client and self.client_table:
            self.add(at.broker_ms, ("client_daily", at.dt, at.client), **amounts)
        if video and channel:
            label = (at.delivery, channel.encode())
            self.labels[at.dt, video] = max(label, self.labels.get((at.dt, video), label))

    def row(self, key: RowKey) -> dict[str, Any]:
        table, dt, row_id = key
        row: dict[str, Any] = {"dt": dt}
        if table in ID_COLUMN:
            row[ID_COLUMN[table]] = row_id
        if table == "video_daily":
            label = self.labels.get((dt, row_id))
            row["channel"] = label[1].decode() if label else None
        counters = self.counters[key]
        columns = INGEST if table == "ingest_daily" else WATCH
        return row | {column: counters[column] for column in columns} | {"updated_at": self.updated[key]}


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return a line's object, or None; JSON as in RFC 8259."""
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def integer(value: object) -> int | None:
    """Return a whole number of 64 bits, or None."""
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def text(value: object) -> str | None:
    """Return a string that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def day_and_hour(instant_ms: int) -> tuple[str, int]:
    """Return the UTC day and hour of an instant."""
    at = EPOCH + timedelta(milliseconds=instant_ms)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", at.date().isoformat())
    return at.date().isoformat(), at.hour
