"""Choice of loopback ports.

Ports are taken below the range from which the kernel serves outgoing connections (32768 and up on Linux): a port in
that range may be lent to a client while its server restarts, even to a client that is connecting to that very server.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection
from typing import Final

from deploy.errors import DeployError

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = 18_000
LAST: Final = 31_999


class PortTakenError(DeployError):
    """A port that was asked for by number is in use."""


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(taken: Collection[int] = ()) -> int:
    """Return a free loopback port that is none of `taken`."""
    for _ in range(1_000):
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret
        if port not in taken and is_free(port):
            return port
    raise PortTakenError(f"no free port found on {LOOPBACK} between {FIRST} and {LAST}; stop some servers")


def choose(wanted: Collection[int], taken: Collection[int]) -> int:
    """Return the first of `wanted` that is free and none of `taken`, else any free port."""
    for port in wanted:
        if port not in taken and is_free(port):
            return port
    return free_port(taken)
