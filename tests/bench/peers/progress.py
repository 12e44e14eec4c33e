"""What a peer tells: one line of JSON once it has counted its events. Standard library only: peers have own venvs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class Progress:
    """Counts events from the first to the last in each of `branches`, which all see every event."""

    def __init__(self, events: int, branches: int = 1) -> None:
        self._events = events
        self._counted = [0] * branches
        self._started = 0.0
        self._cpu_s = 0.0

    def first(self) -> None:
        """Start the clock; later calls do nothing."""
        if not self._started:
            self._started, self._cpu_s = time.monotonic(), time.process_time()

    def count(self, events: int = 1, branch: int = 0) -> None:
        """Take note of events; behind the last one the process ends."""
        self._counted[branch] += events
        if self._counted[branch] >= self._events <= min(self._counted):
            seconds, cpu_s = time.monotonic() - self._started, time.process_time() - self._cpu_s
            tell(events=self._events, seconds=seconds, cpu_s=cpu_s)


def tell(**figures: float) -> None:
    """Print the figures and end the process without clean-up."""
    line = f"RESULT {json.dumps({**figures, 'rss_mb': peak_mb()})}\n"
    os.write(1, line.encode())  # below what a framework may have put in the place of standard output
    os._exit(0)


def peak_mb() -> float:
    """Return the greatest memory this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024
