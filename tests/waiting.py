"""Waiting in tests that cannot await."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], within_s: float, what: str | Callable[[], str]) -> Any:
    """Return what the condition finds at last; fail, and say what did not come, when it finds nothing in time."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what() if callable(what) else what}"
        time.sleep(0.05)
    return found
