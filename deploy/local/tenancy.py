"""One supervisor a data folder, and nothing left of the one before it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from deploy.local.config import StackError, replace_json
from deploy.local.process import started_at

LOCK: Final = "lock"
PROCESSES: Final = "processes.json"
#: For children of a killed supervisor, which the kernel is ending already.
LEFTOVER_WAIT_S: Final = 10.0


@dataclass(frozen=True)
class Process:
    """A process of a stack, told apart from a later one with the same id by its start."""

    pid: int
    started: float | None

    def lives(self) -> bool:
        """Tell whether it still runs."""
        return self.started is not None and started_at(self.pid) == self.started


class OccupiedError(StackError):
    """Another supervisor runs in this data folder."""


@contextlib.contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; the lock goes with the process, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OccupiedError(occupied(data_dir)) from None
        _end_leftovers(data_dir)
        yield
    finally:
        os.close(handle)


def occupied(data_dir: Path) -> str:
    """Return what to tell somebody who wants to start a stack where one is running."""
    return (
        f"a stack is running in {data_dir} already: see `watchtime status`, stop it with `watchtime down`, "
        f"or run another one beside it with --data-dir"
    )


def is_held(data_dir: Path) -> bool:
    """Tell whether a supervisor runs in this folder."""
    try:
        handle = os.open(data_dir / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for a supervisor.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def note_processes(data_dir: Path, pids: Mapping[str, int]) -> None:
    """Write down who runs, with start times: a pid alone may be another program's by the time it is read."""
    replace_json(data_dir / PROCESSES, {name: [pid, started_at(pid)] for name, pid in pids.items()})


def supervisor_of(data_dir: Path) -> Process | None:
    """Return the supervisor that ran here last."""
    return _noted(data_dir).get("supervisor")


def _noted(data_dir: Path) -> dict[str, Process]:
    file = data_dir / PROCESSES
    if not file.exists():
        return {}
    return {name: Process(pid, started) for name, (pid, started) in json.loads(file.read_text()).items()}


def _end_leftovers(data_dir: Path) -> None:
    """End children that outlived their supervisor, and return when they are gone."""
    deadline = time.monotonic() + LEFTOVER_WAIT_S
    for name, process in _noted(data_dir).items():
        while process.lives():
            if time.monotonic() > deadline:
                raise StackError(f"{name} of an earlier stack (process {process.pid}) does not end; end it by hand")
            # A supervisor that gave up its lock is on its way out by itself.
            if name != "supervisor":
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(process.pid).kill()
            time.sleep(0.05)
    (data_dir / PROCESSES).unlink(missing_ok=True)
