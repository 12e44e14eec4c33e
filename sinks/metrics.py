"""What a sinks worker tells Prometheus. Labels hold topics, tables and partitions, never ids of people or videos."""

from __future__ import annotations

import contextlib
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from streams.contract.rows import TABLES

#: The stage's own: tools and tests load several stages into one process.
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

READY: Final = Gauge(
    "watchtime_ready", "1 when the stage does its work, 0 while it starts or restores.", ["stage"], registry=REGISTRY
)
OBJECTS: Final = Counter(
    "watchtime_sinks_objects_written", "Objects written to the lake.", ["table"], registry=REGISTRY
)
OBJECT_BYTES: Final = Counter(
    "watchtime_sinks_bytes_written", "Bytes of objects written to the lake.", ["table"], registry=REGISTRY
)
PUT_SECONDS: Final = Histogram(
    "watchtime_sinks_put_seconds",
    "Time of one successful write to the lake.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
CONFLICTS: Final = Counter(
    "watchtime_sinks_conflicts",
    "Writes refused because the object was another than expected.",
    ["table"],
    registry=REGISTRY,
)
STORE_ERRORS: Final = Counter(
    "watchtime_sinks_store_errors", "Calls that the lake did not answer; they are repeated.", registry=REGISTRY
)
UNREADABLE_ROWS: Final = Counter(
    "watchtime_sinks_unreadable_rows", "Records of daily topics that are no rows.", ["table"], registry=REGISTRY
)
for _table in TABLES:  # at 0, so that the first one is a rise
    UNREADABLE_ROWS.labels(table=_table.name)
DIRTY_SECONDS: Final = Gauge(
    "watchtime_sinks_dirty_seconds",
    "Age of the oldest record that is in no object yet.",
    ["topic", "partition"],
    registry=REGISTRY,
)
LAG: Final = Gauge(
    "watchtime_sinks_lag_records",
    "Offsets between the log's end and what is read.",
    ["topic", "partition"],
    registry=REGISTRY,
)
ROWS: Final = Gauge(
    "watchtime_sinks_rows_held", "Rows of daily tables in memory.", ["topic", "partition"], registry=REGISTRY
)
RESTORES: Final = Counter(
    "watchtime_sinks_restores", "Times a partition was read from where its objects begin.", ["topic"], registry=REGISTRY
)


def let_go(topic: str, partition: int) -> None:
    """Drop a partition's figures: its next holder tells them, and a last one left here would keep an alarm up."""
    for gauge in (DIRTY_SECONDS, LAG, ROWS):
        with contextlib.suppress(KeyError):
            gauge.remove(topic, str(partition))
