"""The statements of the recount: DuckDB's SQL, written from the contract's counting rules.

`line` holds every line as it came, with the slot it counts in; `repeat` the lines that count as repeats; `counted`
the lines of the day; `expected_<table>` the rows that the lake must hold.
"""

# ruff: noqa: S608
# (the statements are put together from this module's constants and the contract's names, never from data)

from __future__ import annotations

from typing import Final

from sinks.reconcile_lines import SCHEMA
from sinks.reconcile_window import MAX_EPOCHS, MAX_IDS, MAX_INTERVALS
from streams.contract.days import DAY_MS, HOUR_MS, MAX_EARLY_MS, MAX_LATE_MS, MAX_TZ_OFFSET_MIN, DayRule
from streams.contract.event import FORGOTTEN_PREFIX, MAX_DELTA_MS
from streams.contract.rows import Table


def _day(dt: str) -> str:
    """Return the expression of a day as a number, counted from the epoch: numbers compare faster than texts."""
    return f"({dt}::DATE - DATE '1970-01-01')"


_DUCKDB_TYPES: Final = {"int64": "BIGINT", "string": "VARCHAR", "bool": "BOOLEAN", "binary": "BLOB"}
_COLUMNS: Final = ", ".join(f"{field.name} {_DUCKDB_TYPES[str(field.type)]}" for field in SCHEMA)


def create_line(name: str = "line", *, anew: bool = False) -> str:
    """Return the statement that makes a table of lines."""
    return f"CREATE {'OR REPLACE ' if anew else ''}TABLE {name} ({_COLUMNS}, day BIGINT, hour INTEGER, moved BOOLEAN)"


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


def with_slots(day_rule: DayRule, source: str = "batch") -> str:
    """Return the query that gives the lines of `batch`, or of another source, their slots."""
    return f"""
SELECT * EXCLUDE (instant, is_moved),
  CASE WHEN valid THEN instant // {DAY_MS} ELSE {_day("broker_dt")} END AS day,
  CASE WHEN valid THEN instant % {DAY_MS} // {HOUR_MS} END AS hour,
  valid AND is_moved AS moved
FROM (SELECT *, {_INSTANT[day_rule]} AS instant, {_MOVED[day_rule]} AS is_moved FROM {source})
"""


#: Most lines are no repeats, which eight bytes of hash tell; only lines with an equal hash are compared in full.
EXACT: Final = """
CREATE TABLE repeat AS
WITH known AS (
  SELECT place, client, seq_epoch, seq, event_id, hash(client, seq_epoch, seq, event_id) AS digest
  FROM line WHERE client IS NOT NULL AND (seq IS NOT NULL OR event_id IS NOT NULL)
),
suspect AS (SELECT digest FROM known GROUP BY digest HAVING count(*) > 1),
candidate AS MATERIALIZED (FROM known SEMI JOIN suspect USING (digest)),
first AS (SELECT min(place) AS place FROM candidate GROUP BY client, seq_epoch, seq, event_id)
SELECT place FROM candidate ANTI JOIN first USING (place)
"""
#: Clients that may have gone beyond a bound: more ids than the window and a repeat among them, more epochs than kept,
#: or an epoch in which more numbers than kept came before their predecessor (only one with so many can have them).
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
busy AS (SELECT client, seq_epoch FROM epoch WHERE numbers > {MAX_INTERVALS}),
numbered AS (
  SELECT client, seq_epoch, seq, min(place) AS place
  FROM line SEMI JOIN busy USING (client, seq_epoch) WHERE seq IS NOT NULL GROUP BY ALL
),
started AS (
  SELECT client, seq_epoch, NOT coalesce(
      lag(seq) OVER before = seq - 1 AND lag(place) OVER before < place, false) AS starts
  FROM numbered WINDOW before AS (PARTITION BY client, seq_epoch ORDER BY seq)
)
SELECT client FROM named GROUP BY client HAVING count(*) FILTER (NOT again) > {MAX_IDS} AND bool_or(again)
UNION SELECT client FROM epoch GROUP BY client HAVING count(*) > {MAX_EPOCHS}
UNION SELECT client FROM started GROUP BY client, seq_epoch HAVING count(*) FILTER (starts) > {MAX_INTERVALS}
"""
DELIVERIES: Final = """
SELECT place, seq_epoch, seq, event_id, place IN (FROM repeat)
FROM line WHERE client = ? AND (seq IS NOT NULL OR event_id IS NOT NULL) ORDER BY place
"""
COUNTED: Final = f"""
CREATE TABLE counted AS
SELECT place, valid, moved, again, hour, delivered_ms, video, channel, client, delta_ms, background, ad,
  NOT again AND valid AND coalesce(event_type = 'video_start'::BLOB, false) AS start,
  NOT again AND valid AND coalesce(event_type = 'watch_tick'::BLOB AND delta_ms BETWEEN 1 AND {MAX_DELTA_MS}, false)
    AS tick
FROM (SELECT *, place IN (FROM repeat) AS again FROM line WHERE day = {_day("$dt")})
"""
_SUMS: Final = """
  coalesce(sum(delta_ms) FILTER (tick AND NOT ad AND NOT background), 0)::BIGINT AS watch_ms_fg,
  coalesce(sum(delta_ms) FILTER (tick AND NOT ad AND background), 0)::BIGINT AS watch_ms_bg,
  count(*) FILTER (start)::BIGINT AS views,
  coalesce(sum(delta_ms) FILTER (tick AND ad), 0)::BIGINT AS ad_ms
"""
_INGEST: Final = """
SELECT * FROM (
  SELECT $dt AS dt,
    count(*) FILTER (NOT again)::BIGINT AS total_events,
    count(*) FILTER (NOT again AND valid)::BIGINT AS valid_events,
    count(*) FILTER (NOT again AND NOT valid)::BIGINT AS invalid_events,
    count(*) FILTER (tick AND video IS NULL)::BIGINT AS ignored_no_video_ticks,
    count(*) FILTER (tick AND video IS NOT NULL AND channel IS NULL)::BIGINT AS ignored_no_channel_ticks,
    count(*) FILTER (again)::BIGINT AS duplicate_events,
    count(*) FILTER (NOT again AND moved)::BIGINT AS moved_events
  FROM counted
) WHERE total_events + duplicate_events > 0
"""
#: Clients that have no row: ids that begin with the prefix (its last byte may not be the greatest one).
_FORGOTTEN: Final = (
    f"client >= '{FORGOTTEN_PREFIX}'::BLOB AND "
    f"client < '{FORGOTTEN_PREFIX[:-1]}{chr(ord(FORGOTTEN_PREFIX[-1]) + 1)}'::BLOB"
)
#: Which events count for a row of a kind, and by which value.
_GROUPED_BY: Final = {
    "video": ("video", "video IS NOT NULL"),
    # A tick without a video counts nowhere; a start without one still counts for its channel.
    "channel": ("channel", "channel IS NOT NULL AND (start OR video IS NOT NULL)"),
    "hour": ("hour", "video IS NOT NULL"),
    "client": ("client", f"client IS NOT NULL AND video IS NOT NULL AND NOT ({_FORGOTTEN})"),
}


def count_table(table: Table) -> str:
    """Return the statement that makes the expected rows of a table."""
    if table.kind == "ingest":
        return f"CREATE TABLE expected_{table.name} AS {_INGEST}"
    value, condition = _GROUPED_BY[table.kind]
    label = (
        "max({'delivered': delivered_ms, 'name': channel}) FILTER (channel IS NOT NULL)['name'] AS channel,"
        if table.labelled
        else ""
    )
    return f"""
    CREATE TABLE expected_{table.name} AS
    SELECT dt, {table.id_column}, {label and "channel,"} watch_ms_fg + watch_ms_bg AS watch_ms,
      watch_ms_fg, watch_ms_bg, views, ad_ms
    FROM (SELECT $dt AS dt, {value} AS {table.id_column}, {label} {_SUMS}
          FROM counted WHERE (start OR tick) AND {condition} GROUP BY {value})
    """
