"""DuckDB's plain group-by over NDJSON: totals by video and by channel. No repeats, no day rules, no odd types.

Arguments: a file of NDJSON, threads.
"""

# ruff: noqa: S608
# (the statement is put together from the benchmark's own arguments)

from __future__ import annotations

import json
import sys

import duckdb

COLUMNS = (
    "{event_type: 'VARCHAR', event_ts: 'BIGINT', video_id: 'VARCHAR', channel_name: 'VARCHAR', "
    "watch_ms_delta: 'BIGINT', watch_mode: 'VARCHAR'}"
)
SUMS = """
  coalesce(sum(watch_ms_delta) FILTER (event_type = 'watch_tick' AND watch_ms_delta > 0
    AND watch_mode IS DISTINCT FROM 'background'), 0) AS fg,
  coalesce(sum(watch_ms_delta) FILTER (event_type = 'watch_tick' AND watch_ms_delta > 0
    AND watch_mode = 'background'), 0) AS bg,
  count(*) FILTER (event_type = 'video_start') AS views,
  count(*) AS events
"""


def main(path: str, threads: int) -> None:
    """Count a file and print what it comes to."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    rows = connection.execute(f"""
        WITH event AS MATERIALIZED (
          SELECT event_ts // 86400000 AS day, *
          FROM read_json('{path}', format = 'newline_delimited', columns = {COLUMNS})
        )
        SELECT day, video_id, 'video' AS kind, {SUMS} FROM event WHERE video_id IS NOT NULL GROUP BY ALL
        UNION ALL
        SELECT day, channel_name, 'channel', {SUMS} FROM event WHERE channel_name IS NOT NULL GROUP BY ALL
    """).fetchall()
    videos = [row for row in rows if row[2] == "video"]
    told = {"events": sum(row[6] for row in videos), "watch_ms": int(sum(row[3] + row[4] for row in videos))}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
