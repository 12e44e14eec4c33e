"""A child program: what to run, and a handle on it while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

GUARD: Final = Path(__file__).with_name("guard.py")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run: command, additions to the environment, and the file that takes its output."""

    name: str
    command: list[str]
    log: Path
    environ: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running program that dies with this process; strictly, with the thread that made it: use the main thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        # -I -S: the guard needs nothing from site-packages and must not see a PYTHONPATH meant for the child.
        guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid())]
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - commands are built by this package
                [*guard, *program.command],
                env={**os.environ, **program.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal reaches a whole process group; children are stopped in order instead.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id; the guard becomes the program by exec, so the id stays."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal) and reap the process, or None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; None when it is still running after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Ask the program to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End the program at once."""
        self._process.kill()

    def stop(self, grace_s: float) -> int:
        """Ask the program to stop, end it after `grace_s`, and return its exit code."""
        self.terminate()
        code = self.wait(grace_s)
        if code is None:
            self.kill()
            code = self._process.wait()
        return code


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, for error messages."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or f"(nothing was written to {log})"


def started_at(pid: int) -> float | None:
    """Return when a process started (seconds since the epoch), None when it is gone: a pid alone may be reused."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
