"""One run of a command: its seconds, and the CPU time and greatest memory of all its processes together."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from tests.bench.machine import Watch

POLL_S = 0.05


class CommandError(Exception):
    """A command that was to be measured failed."""


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the figures of a command, from its start to its end, and the JSON of its last line."""
    watch, before, started = Watch(), _children_s(), time.monotonic()
    process = psutil.Popen(
        list(command), env={**os.environ, **(environ or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = 0
    while True:
        try:
            out, err = process.communicate(timeout=POLL_S)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, _memory(process))
    if process.returncode:
        raise CommandError(f"{' '.join(command)} ended with {process.returncode}: {err[-500:]}")
    figures = {
        "seconds": time.monotonic() - started,
        "cpu_s": _children_s() - before,
        "rss_mb": peak / 2**20,
        "others": watch.others(),
    }
    return figures, json.loads(out.splitlines()[-1])


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(process: psutil.Process) -> int:
    """Return the bytes that a process and its children hold; one that has just ended holds none."""
    held = 0
    try:
        for one in (process, *process.children(recursive=True)):
            held += one.memory_info().rss
    except psutil.NoSuchProcess:
        return held
    return held
