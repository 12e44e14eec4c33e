"""A lake of known facts: what was watched in which hour, from which the daily files are written and answers computed.

The days cross a new year whose first ISO week begins in the old one, two of them are missing, and names are awkward.
"""

from __future__ import annotations

import datetime
import gzip
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from sinks.keys import ChunkKey, FileKey, Format
from sinks.raw_objects import CLOSING
from streams.contract.days import DAY_MS, HOUR_MS, day_start_ms, shift_dt
from streams.contract.keys import shard_of
from streams.contract.rows import CHANNEL, CLIENT, HOUR, INGEST, TABLES, VIDEO, Table
from tests.lakes import file_bytes

FIRST_DAY = "2025-12-15"
LAST_DAY = "2026-01-13"
MISSING = ("2025-12-24", "2025-12-25", "2026-01-10")
CHANNELS = ("Birds", "birds", 'O\'Hara "live"', "=SUM(A1)", "Música ¿qué? 🦉", "a|b,c", "  spaced ", "new in january")
CLIENTS = ("c1", "c2", "c|3")


class Fact(NamedTuple):
    """What one install did with one video in one hour; times in ms."""

    dt: str
    hour: int
    video: str
    channel: str | None
    client: str
    fg: int
    bg: int
    views: int
    ad: int


class Sample(NamedTuple):
    """The facts, and the rows of ingest_daily, which are facts of their own."""

    facts: list[Fact]
    ingest: dict[str, tuple[int, ...]]
    events: list[dict[str, Any]]


def days() -> list[str]:
    """Return the days that have data."""
    found, dt = [], FIRST_DAY
    while dt <= LAST_DAY:
        if dt not in MISSING:
            found.append(dt)
        dt = shift_dt(dt, 1)
    return found


def sample(seed: int = 7) -> Sample:
    """Return the same sample at each call."""
    rng = random.Random(seed)
    facts, ingest = [], {}
    for dt in days():
        for _ in range(rng.randrange(30, 60)):
            number = rng.randrange(24)
            channel = None if number >= 21 else CHANNELS[number % len(CHANNELS)]
            if channel == CHANNELS[-1] and dt < "2026-01-02":
                continue
            # Whole seconds from a small range make ties.
            fg, bg, ad = (rng.choice([0, 1_000, 61_000, 600_000, 3_599_999]) for _ in range(3))
            facts.append(
                Fact(dt, rng.randrange(24), f"v'{number}", channel, rng.choice(CLIENTS), fg, bg, rng.randrange(3), ad)
            )
        facts.append(Fact(dt, 3, "only|viewed", "never watched", "c1", 0, 0, 1, 0))
        total = rng.randrange(1, 900)
        ingest[dt] = (total, total - total // 9, total // 9, 3, 2, rng.randrange(9), 1)
    ingest["2026-01-03"] = (0, 0, 0, 0, 0, 4, 0)
    return Sample(facts, ingest, _events(rng))


def _events(rng: random.Random) -> list[dict[str, Any]]:
    found = []
    for number in range(120):
        dt = rng.choice(days()[:5])
        received = day_start_ms(dt) + rng.randrange(DAY_MS)
        event = {
            "schema": 1,
            "event_id": f"e{number}",
            "event_ts": received - rng.choice([5, 70_000, 2 * HOUR_MS, DAY_MS]),
            "event_type": rng.choice(["watch_tick", "watch_tick", "video_start", "visibility_change"]),
            "client_session_id": "s",
            "tab_id": "t",
            "received_at": received,
            "client_id": rng.choice(CLIENTS),
        }
        if event["event_type"] != "visibility_change":
            session = rng.randrange(6)
            event |= {"video_id": f"v'{session}", "video_session_id": f"vs{session}", "channel_name": CHANNELS[session]}
        if event["event_type"] == "watch_tick":
            event |= {"watch_ms_delta": rng.choice([0, 1, 10_000, 60_000]), "seq": number, "seq_epoch": "p"}
            event |= rng.choice([{}, {"ad": True}, {"ad": False, "watch_mode": "background"}])
        found.append(event)
    # Sent twice; and fields of types that no rule of acceptance refuses.
    found.append(dict(found[0]))
    found.append({**found[1], "event_id": "odd", "seq": "x", "ad": [1], "is_visible": {"a": 1}, "content_ms": 1e99})
    found.append({**found[1], "event_id": "odd too", "seq": 1.5, "ad": "yes", "is_visible": 1, "content_ms": " 7 "})
    found.append({**found[1], "event_id": "near", "seq": "5", "ad": "true", "is_visible": "1", "content_ms": "007"})
    return found


def rows(data: Sample, table: Table) -> dict[str, list[tuple[Any, ...]]]:
    """Return a table's rows by day: columns after `dt`."""
    if table is INGEST:
        return {dt: [row] for dt, row in data.ingest.items()}
    key: Callable[[Fact], Any] = {
        VIDEO.name: lambda fact: (fact.dt, fact.video),
        CHANNEL.name: lambda fact: (fact.dt, fact.channel),
        HOUR.name: lambda fact: (fact.dt, fact.hour),
        CLIENT.name: lambda fact: (fact.dt, fact.client),
    }[table.name]
    found = defaultdict(list)
    for (dt, row_id), group in grouped(data.facts, key).items():
        if row_id is None:
            continue
        fg, bg, views, ad = sums(group)
        label = (label_of(group),) if table.labelled else ()
        found[dt].append((row_id, *label, fg + bg, fg, bg, views, ad))
    return found


def grouped(facts: Iterable[Fact], key: Callable[[Fact], Any]) -> dict[Any, list[Fact]]:
    """Return facts by key, keys in the order of their first fact."""
    found = defaultdict(list)
    for fact in facts:
        found[key(fact)].append(fact)
    return dict(found)


def sums(facts: Iterable[Fact]) -> tuple[int, int, int, int]:
    """Return foreground, background (ms), views and advertisements (ms)."""
    fg = bg = views = ad = 0
    for fact in facts:
        fg, bg, views, ad = fg + fact.fg, bg + fact.bg, views + fact.views, ad + fact.ad
    return fg, bg, views, ad


def label_of(facts: Iterable[Fact]) -> str | None:
    """Return the channel of a video's facts on one day."""
    return next((fact.channel for fact in facts if fact.channel), None)


def day_files(rows: dict[Table, dict[str, list[tuple[Any, ...]]]], form: Format, shards: int) -> dict[str, bytes]:
    """Return keys and contents of the daily files."""
    found = {}
    for table, by_day in rows.items():
        for dt, day_rows in by_day.items():
            by_shard = defaultdict(list)
            for row in day_rows:
                by_shard[shard_of(dt, table.kind, str(row[0]) if table.id_column else "", shards)].append(row)
            for shard, some in by_shard.items():
                key = FileKey(table.name, dt, shard, shards, form).encode()
                found[key] = file_bytes(table, dt, some, form)
    return found


def objects(data: Sample, form: Format, shards: int) -> dict[str, bytes]:
    """Return the lake: keys and contents of all daily files and of the raw archive."""
    found = day_files({table: rows(data, table) for table in TABLES}, form, shards)
    for dt, events in _by_day(data.events).items():
        body = b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)
        # As the archive leaves a closed object.
        found[ChunkKey(dt, "watch.events", "0123abcd", 0, 17).encode()] = gzip.compress(body, mtime=0) + CLOSING
    found["analytics/_layout.json"] = b"{}"
    return found


def _by_day(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for event in events:
        found[day_of(event["received_at"])].append(event)
    return found


def day_of(instant_ms: int) -> str:
    """Return the UTC day of an instant."""
    return datetime.datetime.fromtimestamp(instant_ms / 1000, datetime.UTC).date().isoformat()
