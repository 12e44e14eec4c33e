"""What a sinks worker tells Prometheus. Labels hold topics, tables and partitions, never ids of people or videos."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

READY: Final = Gauge("watchtime_ready", "1 when the stage does its work, 0 while it starts or restores.", ["stage"])
OBJECTS: Final = Counter("watchtime_sinks_objects_written", "Objects written to the lake.", ["table"])
OBJECT_BYTES: Final = Counter("watchtime_sinks_bytes_written", "Bytes of objects written to the lake.", ["table"])
PUT_SECONDS: Final = Histogram(
    "watchtime_sinks_put_seconds",
    "Time of one successful write to the lake.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CONFLICTS: Final = Counter(
    "watchtime_sinks_conflicts", "Writes refused because the object was another than expected.", ["table"]
)
STORE_ERRORS: Final = Counter("watchtime_sinks_store_errors", "Calls that the lake did not answer; they are repeated.")
DIRTY_SECONDS: Final = Gauge(
    "watchtime_sinks_dirty_seconds", "Age of the oldest record that is in no object yet.", ["topic", "partition"]
)
LAG: Final = Gauge(
    "watchtime_sinks_lag_records", "Offsets between the log's end and what is read.", ["topic", "partition"]
)
ROWS: Final = Gauge("watchtime_sinks_rows_held", "Rows of daily tables in memory.", ["topic", "partition"])
ARCHIVED: Final = Counter("watchtime_sinks_archived_lines", "Lines put into raw objects' content.")
RESTORES: Final = Counter(
    "watchtime_sinks_restores", "Times a partition was read from where its objects begin.", ["topic"]
)
