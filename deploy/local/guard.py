"""Runs a command that dies with its parent: `python guard.py PARENT_PID COMMAND…` (Linux).

The kernel sends SIGKILL to the command when the thread that started it ends, even by `kill -9`, so a stack leaves no
orphans. A small program of its own, because nothing may run between fork and exec in the supervisor; it imports
nothing of the project, to start in a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("guard: the parent ended before the command was started")
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is the supervisor's
