"""The statements of the recount: DuckDB's SQL, written from the contract's counting rules.

`line` holds every line as it came, with the slot it counts in; `repeat` the lines that count as repeats; `counted`
the lines of the day; `grouped` their sums by video, name and hour; `expected_<table>` the rows that the lake must hold.
"""

# ruff: noqa: S608
# (the statements are put together from this module's constants and the contract's names, never from data)

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sinks.line_columns import SCHEMA
from sinks.reconcile_window import MAX_EPOCHS, MAX_IDS, MAX_INTERVALS
from streams.contract.days import (
    DAY_MS,
    HOUR_MS,
    MAX_EARLY_MS,
    MAX_LATE_MS,
    MAX_TZ_OFFSET_MIN,
    DayRule,
    day_start_ms,
)
from streams.contract.event import FORGOTTEN_PREFIX, MAX_DELTA_MS
from streams.contract.rows import WATCH_COUNTERS, Table


def _day(dt: str) -> str:
    """Return the expression of a day as a number, counted from the epoch: numbers compare faster than texts."""
    return f"({dt}::DATE - DATE '1970-01-01')"


_DUCKDB_TYPES: Final = {"int64": "BIGINT", "string": "VARCHAR", "bool": "BOOLEAN", "binary": "BLOB"}
_NOTHING: Final = ", ".join(f"NULL::{_DUCKDB_TYPES[str(field.type)]} AS {field.name}" for field in SCHEMA)
#: The lines of no object.
NO_LINES: Final = f"SELECT {_NOTHING} WHERE false"
_BELIEVED: Final = f"coalesce(event_ts BETWEEN delivered_ms - {MAX_LATE_MS} AND delivered_ms + {MAX_EARLY_MS}, false)"
_OWN_TIME: Final = f"CASE WHEN {_BELIEVED} THEN event_ts ELSE delivered_ms END"
_SHIFT: Final = (
    f"CASE WHEN tz_offset_min BETWEEN -{MAX_TZ_OFFSET_MIN} AND {MAX_TZ_OFFSET_MIN} "
    "THEN tz_offset_min * 60000 ELSE 0 END"
)
#: The instant that decides on day and hour, by day rule.
_INSTANT: Final[dict[str, str]] = {
    "event": _OWN_TIME,
    "received": "delivered_ms",
    "local": f"({_OWN_TIME}) - ({_SHIFT})",
}
_MOVED: Final[dict[str, str]] = {"event": f"NOT {_BELIEVED}", "received": "false", "local": f"NOT {_BELIEVED}"}


def with_slots(day_rule: DayRule, source: str) -> str:
    """Return the query that gives the lines of a source their slots."""
    return f"""
SELECT * EXCLUDE (instant, is_moved),
  CASE WHEN valid THEN instant // {DAY_MS} ELSE {_day("broker_dt")} END AS day,
  CASE WHEN valid THEN instant % {DAY_MS} // {HOUR_MS} END AS hour,
  valid AND is_moved AS moved
FROM (SELECT *, {_INSTANT[day_rule]} AS instant, {_MOVED[day_rule]} AS is_moved FROM {source})
"""


#: Most lines are no repeats, which eight bytes of hash tell; only lines with an equal hash are compared in full.
#: To read the lines twice takes a third of the time, and half of the memory, of a copy of what is read.
EXACT: Final = """
CREATE TABLE repeat AS
WITH known AS NOT MATERIALIZED (
  SELECT place, client, seq_epoch, seq, event_id, hash(client, seq_epoch, seq, event_id) AS digest
  FROM line WHERE client IS NOT NULL AND (seq IS NOT NULL OR event_id IS NOT NULL)
),
suspect AS (SELECT digest FROM known GROUP BY digest HAVING count(*) > 1),
candidate AS MATERIALIZED (FROM known SEMI JOIN suspect USING (digest)),
first AS (SELECT min(place) AS place FROM candidate GROUP BY client, seq_epoch, seq, event_id)
SELECT place FROM candidate ANTI JOIN first USING (place)
"""
#: Clients that may have gone beyond a bound: more ids than the window and a repeat among them, more epochs than kept,
#: or an epoch in which more numbers than kept came before their predecessor (only one with so many can have them; it
#: goes by a number, which sorts faster than its name).
WIDE_CLIENTS: Final = f"""
WITH repeating AS (
  SELECT DISTINCT client FROM line SEMI JOIN repeat USING (place) WHERE event_id IS NOT NULL
),
named AS (
  SELECT client, place IN (FROM repeat) AS again
  FROM line SEMI JOIN repeating USING (client) WHERE event_id IS NOT NULL
),
epoch AS (
  SELECT client, seq_epoch, count(*) AS numbers
  FROM line WHERE client IS NOT NULL AND seq IS NOT NULL GROUP BY client, seq_epoch
),
busy AS MATERIALIZED (
  SELECT client, seq_epoch, row_number() OVER () AS number FROM epoch WHERE numbers > {MAX_INTERVALS}
),
numbered AS (
  SELECT busy.number, seq, place
  FROM line JOIN busy USING (client, seq_epoch) ANTI JOIN repeat USING (place) WHERE seq IS NOT NULL
),
started AS (
  SELECT number, NOT coalesce(lag(seq) OVER before = seq - 1 AND lag(place) OVER before < place, false) AS starts
  FROM numbered WINDOW before AS (PARTITION BY number ORDER BY seq)
)
SELECT client FROM named GROUP BY client HAVING count(*) FILTER (NOT again) > {MAX_IDS} AND bool_or(again)
UNION SELECT client FROM epoch GROUP BY client HAVING count(*) > {MAX_EPOCHS}
UNION SELECT client FROM busy SEMI JOIN (
  SELECT number FROM started GROUP BY number HAVING count(*) FILTER (starts) > {MAX_INTERVALS}
) USING (number)
"""
DELIVERIES: Final = """
SELECT place, seq_epoch, seq, event_id, place IN (FROM repeat)
FROM line WHERE client = ? AND (seq IS NOT NULL OR event_id IS NOT NULL) ORDER BY place
"""


def counted(dt: str) -> str:
    """Return the statement that makes the view of a day's lines: a copy of them would cost more than it saves."""
    return f"""
CREATE VIEW counted AS
SELECT *, tick AND video IS NOT NULL AS watched
FROM (SELECT place, valid, moved, again, hour, delivered_ms, video, channel, client, delta_ms, background, ad,
  NOT again AND valid AND coalesce(event_type = 'video_start'::BLOB, false) AS start,
  NOT again AND valid AND coalesce(event_type = 'watch_tick'::BLOB AND delta_ms BETWEEN 1 AND {MAX_DELTA_MS}, false)
    AS tick
FROM (SELECT *, place IN (FROM repeat) AS again FROM line WHERE day = {day_start_ms(dt) // DAY_MS}))
"""


_SUMS: Final = """
  coalesce(sum(delta_ms) FILTER (watched AND NOT ad AND NOT background), 0)::BIGINT AS watch_ms_fg,
  coalesce(sum(delta_ms) FILTER (watched AND NOT ad AND background), 0)::BIGINT AS watch_ms_bg,
  count(*) FILTER (start)::BIGINT AS views,
  coalesce(sum(delta_ms) FILTER (watched AND ad), 0)::BIGINT AS ad_ms
"""
_INGEST: Final = {
    "total_events": "NOT again",
    "valid_events": "NOT again AND valid",
    "invalid_events": "NOT again AND NOT valid",
    "ignored_no_video_ticks": "tick AND video IS NULL",
    "ignored_no_channel_ticks": "tick AND video IS NOT NULL AND channel IS NULL",
    "duplicate_events": "again",
    "moved_events": "NOT again AND moved",
}
#: What the lines of one video and hour under one name come to: few rows, from which nearly all tables are made, so
#: that the lines are read but once. A tick without a video is not watched, a start without one counts for its channel.
GROUPED: Final = f"""
CREATE TABLE grouped AS
SELECT video, channel, hour, {_SUMS},
  count(*) FILTER (start OR watched) AS counting,
  max(delivered_ms) FILTER (start OR watched) AS delivered_ms,
  {", ".join(f"count(*) FILTER ({condition}) AS {name}" for name, condition in _INGEST.items())}
FROM counted GROUP BY video, channel, hour
"""


def _added(names: Iterable[str]) -> str:
    """Return the sums of sums."""
    return ", ".join(f"sum({name})::BIGINT AS {name}" for name in names)


#: Clients that have no row: ids that begin with the prefix (its last byte may not be the greatest one).
_FORGOTTEN: Final = (
    f"client >= '{FORGOTTEN_PREFIX}'::BLOB AND "
    f"client < '{FORGOTTEN_PREFIX[:-1]}{chr(ord(FORGOTTEN_PREFIX[-1]) + 1)}'::BLOB"
)
#: From what the rows of a kind are made: source, id, sums, and which rows of the source count.
_MADE_FROM: Final = {
    "video": ("grouped", "video", _added(WATCH_COUNTERS), "counting > 0 AND video IS NOT NULL"),
    "channel": ("grouped", "channel", _added(WATCH_COUNTERS), "counting > 0 AND channel IS NOT NULL"),
    "hour": ("grouped", "hour", _added(WATCH_COUNTERS), "counting > 0 AND video IS NOT NULL"),
    "client": (
        "counted",
        "client",
        _SUMS,
        f"(start OR watched) AND client IS NOT NULL AND video IS NOT NULL AND NOT ({_FORGOTTEN})",
    ),
}


def count_table(table: Table) -> str:
    """Return the statement that makes the expected rows of a table."""
    if table.kind == "ingest":
        return f"""
        CREATE TABLE expected_{table.name} AS
        SELECT $dt AS dt, {_added(_INGEST)} FROM grouped HAVING sum(total_events) + sum(duplicate_events) > 0
        """
    source, value, sums, condition = _MADE_FROM[table.kind]
    label = (
        "max({'delivered': delivered_ms, 'name': channel}) FILTER (channel IS NOT NULL)['name'] AS channel,"
        if table.labelled
        else ""
    )
    return f"""
    CREATE TABLE expected_{table.name} AS
    SELECT dt, {table.id_column}, {label and "channel,"} watch_ms_fg + watch_ms_bg AS watch_ms,
      watch_ms_fg, watch_ms_bg, views, ad_ms
    FROM (SELECT $dt AS dt, {value} AS {table.id_column}, {label} {sums}
          FROM {source} WHERE {condition} GROUP BY {value})
    """
