"""Named places where a fault test may end, stop, delay or break a process; without WATCHTIME_FAILPOINT they do nothing.

WATCHTIME_FAILPOINT is a comma list of `place:times` or `place:times=action`: at the given time (1 is the first) that
the process comes by the place, it exits as `kill -9` would (no action), or it does `stop` (SIGSTOP to itself), `raise`
(an exception), or `waitN` (N seconds during which everything else goes on).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "WATCHTIME_FAILPOINT"
#: As a shell reports a process that was ended by SIGKILL.
KILLED: Final = 137
_POINT: Final = re.compile(r"([a-z_-]+):([1-9][0-9]*)(?:=(stop|raise|wait[0-9]+))?")


class FailpointError(Exception):
    """Raised on purpose, or WATCHTIME_FAILPOINT cannot be read."""


@dataclass
class _Point:
    left: int
    action: str


_armed: Final[dict[str, _Point]] = {}


def arm(environ: Mapping[str, str]) -> None:
    """Arm the places that the environment names; called once by each entry point."""
    _armed.clear()
    for text in filter(None, environ.get(VARIABLE, "").split(",")):
        match = _POINT.fullmatch(text)
        if match is None:
            raise FailpointError(f"{VARIABLE}={text!r}: use place:times, or place:times=stop, raise or waitN")
        _armed[match[1]] = _Point(int(match[2]), match[3] or "exit")


async def reach(place: str) -> None:
    """Come by a place."""
    if not _armed:
        return
    point = _armed.get(place)
    if point is None:
        return
    point.left -= 1
    if point.left:
        return
    if point.action == "exit":
        os._exit(KILLED)
    elif point.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif point.action == "raise":
        raise FailpointError(f"raised on purpose at {place}")
    else:
        await asyncio.sleep(int(point.action.removeprefix("wait")))
