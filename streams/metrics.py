"""What a stream worker tells Prometheus. Labels hold partitions and stages, never ids of people or videos."""

from __future__ import annotations

from collections.abc import Iterable
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
READY.labels(stage="streams").set(0)
EVENTS: Final = Counter("watchtime_streams_events", "Lines of raw records folded.", registry=REGISTRY)
RECORDS: Final = Counter("watchtime_streams_records", "Raw records folded.", registry=REGISTRY)
INVALID: Final = Counter(
    "watchtime_streams_invalid_lines", "Lines of raw records that no fold could read.", registry=REGISTRY
)
UNREADABLE_ROWS: Final = Counter(
    "watchtime_streams_unreadable_rows", "Records of daily topics that are no rows.", ["table"], registry=REGISTRY
)
for _table in TABLES:  # at 0, so that the first one is a rise
    UNREADABLE_ROWS.labels(table=_table.name)
TRANSACTIONS: Final = Counter("watchtime_streams_transactions", "Transactions committed.", ["agent"], registry=REGISTRY)
TRANSACTION_SECONDS: Final = Histogram(
    "watchtime_streams_transaction_seconds",
    "Time from the begin of a transaction to its commit.",
    ["agent"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
RESTORE_SECONDS: Final = Gauge(
    "watchtime_streams_restore_seconds",
    "Time the last taking of a partition took.",
    ["agent", "partition"],
    registry=REGISTRY,
)
RESTORED_KEYS: Final = Gauge(
    "watchtime_streams_restored_keys", "Keys read by it.", ["agent", "partition"], registry=REGISTRY
)
ROWS_PUBLISHED: Final = Counter(
    "watchtime_streams_rows_published", "Rows written to daily topics.", ["table"], registry=REGISTRY
)
LAG: Final = Gauge(
    "watchtime_streams_lag_records",
    "Offsets between the log's end and what is worked through.",
    ["topic", "partition"],
    registry=REGISTRY,
)
GIVEN_UP: Final = Counter(
    "watchtime_streams_sequence_numbers_given_up",
    "Sequence numbers counted as seen because a client had too many gaps: late first deliveries that may be dropped.",
    registry=REGISTRY,
)
CLIENTS: Final = Gauge(
    "watchtime_streams_clients", "Clients whose window of repeats is kept.", ["partition"], registry=REGISTRY
)


class Readiness:
    """The worker is ready when each of its sources is."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._ready = dict.fromkeys(sources, False)

    def set(self, source: str, *, ready: bool) -> None:
        """Take note of one source."""
        self._ready[source] = ready
        READY.labels(stage="streams").set(all(self._ready.values()))
