"""Choice of loopback ports.

Ports are taken below the range from which the kernel serves outgoing connections (32768 and up on Linux): a port in
that range may be lent to a client while its server restarts, even to a client that is connecting to that very server.

A port that looks free may be about to be used by another stack that is just starting, or by a child that is being
restarted. So each stack claims its ports in a folder that all of them share, for as long as its supervisor lives.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from deploy.errors import DeployError

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = 18_000
LAST: Final = 31_999

#: Ports that this process was given: the server of one may not listen yet.
_given: Final[set[int]] = set()


class PortTakenError(DeployError):
    """No port is to be had."""


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a free loopback port for a server that starts at once; each port once."""
    for port in _candidates():
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise PortTakenError(f"no free port found on {LOOPBACK} between {FIRST} and {LAST}; stop some servers")


class PortClaims:
    """The ports of one stack. The claims go with the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._handles: dict[int, int] = {}

    def claim(self, port: int) -> bool:
        """Claim this very port; False when a server or another claim is on it."""
        if port in self._handles:
            return False
        handle = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        if not is_free(port):
            os.close(handle)
            return False
        self._handles[port] = handle
        return True

    def choose(self, wanted: Iterable[int], taken: Collection[int] = ()) -> int:
        """Claim the first of `wanted` that is to be had, else any other port that is none of `taken`."""
        for port in [*wanted, *_candidates()]:
            if port not in taken and self.claim(port):
                return port
        raise PortTakenError(f"no free port found on {LOOPBACK} between {FIRST} and {LAST}; stop some servers")


def _candidates() -> list[int]:
    return random.sample(range(FIRST, LAST + 1), 1_000)
