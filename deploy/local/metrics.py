"""What the supervisor tells Prometheus: the result of the nightly reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

REGISTRY: Final = CollectorRegistry()
DRIFT: Final = Gauge(
    "watchtime_drift_rows",
    "Rows of daily files that differ from the raw archive, by day looked at in the last night; ten days at most.",
    ["dt"],
    registry=REGISTRY,
)
LAST_RUN: Final = Gauge(
    "watchtime_reconcile_last_run_timestamp_seconds", "When the last reconciliation ended; 0: never.", registry=REGISTRY
)
EXIT_CODE: Final = Gauge(
    "watchtime_reconcile_exit_code",
    "How it ended: 0 no drift, 1 drift, 2 it could not be told for all days.",
    registry=REGISTRY,
)


def show_night(at_s: float, exit_code: int, drift: Mapping[str, int | None]) -> None:
    """Show what the last night found, and nothing of nights before."""
    DRIFT.clear()
    for dt, rows in drift.items():
        if rows is not None:
            DRIFT.labels(dt=dt).set(rows)
    LAST_RUN.set(at_s)
    EXIT_CODE.set(exit_code)
