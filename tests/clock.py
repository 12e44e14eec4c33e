"""The machine's time, as the contract writes it. Ask late: a test may begin before midnight."""

from __future__ import annotations

import time

from streams.contract.days import dt_of_ms


def now_ms() -> int:
    """Return the machine's time."""
    return time.time_ns() // 1_000_000


def today() -> str:
    """Return the UTC day of the machine's time."""
    return dt_of_ms(now_ms())
