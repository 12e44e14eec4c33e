"""What the daily files must say, folded plainly from the file of acknowledged POSTs that `watchtime load` writes.

Written from the contract alone: it imports nothing of the project, keeps every identity it ever saw and adds up with
dictionaries. What a client cannot know, it does not guess: a label that two deliveries at about the same time could
have given is a set of names, and repeats from tries whose outcome is unclear are an upper bound.
"""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WATCH = ("watch_ms_fg", "watch_ms_bg", "views", "ad_ms")
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
TABLES = (*ID_COLUMN, "ingest_daily")

Row = dict[str, Any]
#: (table, dt) -> id -> row; the id of an ingest row is None.
Rows = dict[tuple[str, str], dict[Any, Row]]


class AmbiguousDeliveryError(AssertionError):
    """An event counts at its delivery, and a full hour passed between its sending and its acknowledgement."""


@dataclass
class Expectation:
    """The rows, and what about them is known only within bounds."""

    rows: Rows = field(default_factory=dict)
    #: (dt, video_id) -> every name that may label the row; {None} when there was none.
    labels: dict[tuple[str, str], set[str | None]] = field(default_factory=dict)
    #: dt -> repeats that unclear tries may have added to `duplicate_events`.
    unclear_repeats: dict[str, int] = field(default_factory=dict)
    posts: int = 0
    events: int = 0

    @property
    def days(self) -> list[str]:
        """Return every day with a row."""
        return sorted({dt for _, dt in self.rows})

    def differences(self, table: str, dt: str, actual: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return a line for each row of a table and day that is not as it must be."""
        found: list[str] = []
        expected = dict(self.rows.get((table, dt), {}))
        column = ID_COLUMN.get(table)
        for row in actual:
            row_id = None if column is None else row[column]
            want = expected.pop(row_id, None)
            if want is None:
                found.append(f"{table} {dt} {row_id!r}: not expected (or there twice): {dict(row)}")
                continue
            found.extend(f"{table} {dt} {row_id!r}: {text}" for text in self._unlike(table, dt, want, row))
        found.extend(f"{table} {dt} {row_id!r}: missing, expected {row}" for row_id, row in expected.items())
        return found

    def _unlike(self, table: str, dt: str, want: Row, row: Mapping[str, Any]) -> list[str]:
        texts = []
        if set(row) - {"updated_at"} != set(want):
            texts.append(f"columns {sorted(row)}, expected {sorted(want)}")
        for column, value in want.items():
            got = row.get(column)
            if column == "channel" and table == "video_daily":
                if got not in self.labels[dt, want["video_id"]]:
                    texts.append(f"channel {got!r} is none of {self.labels[dt, want['video_id']]}")
            elif column == "duplicate_events":
                if not value <= (got or 0) <= value + self.unclear_repeats.get(dt, 0):
                    texts.append(f"duplicate_events {got}, expected {value} + 0..{self.unclear_repeats.get(dt, 0)}")
            elif got != value or type(got) is not type(value):
                texts.append(f"{column} {got!r}, expected {value!r}")
        return texts


def fold(path: Path, day_rule: str = "event", *, client_table: bool = False) -> Expectation:
    """Fold a file of acknowledged POSTs into the rows that the lake must hold."""
    return _Fold(day_rule, client_table=client_table).run(path)


class _Fold:
    def __init__(self, day_rule: str, *, client_table: bool) -> None:
        self.day_rule = day_rule
        self.client_table = client_table
        self.seen: set[tuple[Any, ...]] = set()
        self.watch: dict[tuple[str, str], dict[Any, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
        self.ingest: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(INGEST, 0))
        #: (dt, video_id) -> name -> (latest sending, latest acknowledgement) of a delivery that named it.
        self.names: dict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
        self.result = Expectation()

    def run(self, path: Path) -> Expectation:
        with path.open("rb") as file:
            for line in file:
                self.add_post(json.loads(line))
        for (table, dt), rows in self.watch.items():
            self.result.rows[table, dt] = {row_id: self.watch_row(table, dt, row_id, n) for row_id, n in rows.items()}
        for dt, counters in self.ingest.items():
            self.result.rows["ingest_daily", dt] = {None: {"dt": dt, **counters}}
        return self.result

    def add_post(self, post: dict[str, Any]) -> None:
        assert post["rejected"] == 0, f"POST {post['post']} had rejected events; this fold knows accepted ones only"
        body = post["body"]
        events = body["events"] if isinstance(body.get("events"), list) else [body]
        assert len(events) == post["accepted"]
        self.result.posts += 1
        for event in events:
            self.add_event(event, post)

    def add_event(self, event: dict[str, Any], post: dict[str, Any]) -> None:
        dt, hour, moved = self.slot(event, post)
        ingest = self.ingest[dt]
        if post["unclear_tries"]:
            bounds = self.result.unclear_repeats
            bounds[dt] = bounds.get(dt, 0) + post["unclear_tries"]
        client = event["client_session_id"]  # without authentication the gateway takes it for the client_id
        if identity_is_repeat(self.seen, client, event):
            ingest["duplicate_events"] += 1
            return
        self.result.events += 1
        ingest["total_events"] += 1
        ingest["valid_events"] += 1
        ingest["moved_events"] += moved
        kind, video, channel = event["event_type"], event.get("video_id"), event.get("channel_name")
        if kind == "video_start":
            column, amount = "views", 1
        elif kind == "watch_tick" and event["watch_ms_delta"] > 0:
            background = event.get("watch_mode") == "background"
            column = "ad_ms" if event.get("ad") is True else "watch_ms_bg" if background else "watch_ms_fg"
            amount = event["watch_ms_delta"]
        else:
            return
        rows: list[tuple[str, Any]] = [("video_daily", video), ("hour_daily", hour)]
        if self.client_table:
            rows.append(("client_daily", client))
        if isinstance(channel, str) and channel:
            rows.append(("channel_daily", channel))
            names = self.names[dt, video]
            sent, acked = names.get(channel, (0, 0))
            names[channel] = (max(sent, post["sent_ms"]), max(acked, post["acked_ms"]))
        elif kind == "watch_tick":
            ingest["ignored_no_channel_ticks"] += 1
        for table, row_id in rows:
            self.watch[table, dt][row_id][WATCH.index(column)] += amount

    def slot(self, event: dict[str, Any], post: dict[str, Any]) -> tuple[str, int, bool]:
        slots = {self.slot_at(event, delivered) for delivered in (post["sent_ms"], post["acked_ms"])}
        if len(slots) > 1:
            raise AmbiguousDeliveryError(f"POST {post['post']}, event {event['event_id']}: {sorted(slots)}")
        return slots.pop()

    def slot_at(self, event: dict[str, Any], delivered: int) -> tuple[str, int, bool]:
        if self.day_rule == "received":
            return (*day_and_hour(delivered), False)
        stamp = event["event_ts"]
        moved = not delivered - 7 * DAY_MS <= stamp <= delivered + 10 * MINUTE_MS
        instant = delivered if moved else stamp
        if self.day_rule == "local":
            offset = event.get("tz_offset_min")
            if isinstance(offset, int) and -840 <= offset <= 840:
                instant -= offset * MINUTE_MS
        return (*day_and_hour(instant), moved)

    def watch_row(self, table: str, dt: str, row_id: Any, counters: list[int]) -> Row:
        row: Row = {"dt": dt, ID_COLUMN[table]: row_id}
        if table == "video_daily":
            row["channel"] = None
            self.result.labels[dt, row_id] = latest_names(self.names.get((dt, row_id), {}))
        row["watch_ms"] = counters[0] + counters[1]
        row.update(zip(WATCH, counters, strict=True))
        return row


def identity_is_repeat(seen: set[tuple[Any, ...]], client: str, event: dict[str, Any]) -> bool:
    """Tell whether an event was delivered before, and remember it."""
    seq, epoch = event.get("seq"), event.get("seq_epoch")
    if type(seq) is int and 0 <= seq < 2**53 and isinstance(epoch, str) and epoch:
        identity: tuple[Any, ...] = ("seq", client, epoch, seq)
    else:
        identity = ("id", client, event["event_id"])
    if identity in seen:
        return True
    seen.add(identity)
    return False


def latest_names(names: dict[str, tuple[int, int]]) -> set[str | None]:
    """Return each name whose last delivery may have been the latest of all."""
    if not names:
        return {None}
    surely = max(sent for sent, _ in names.values())
    return {name for name, (_, acked) in names.items() if acked >= surely}


def day_and_hour(instant_ms: int) -> tuple[str, int]:
    """Return the UTC day and hour of an instant."""
    moment = datetime.datetime.fromtimestamp(instant_ms // 1000, datetime.UTC)
    return moment.date().isoformat(), moment.hour
