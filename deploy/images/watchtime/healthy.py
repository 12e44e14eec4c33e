"""The image's health check: does the stage in this container say that it is ready? Exit 0 yes, 1 no.

Each stage serves its metrics on port 4001 in its container, with the gauge `watchtime_ready`.
"""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import re
import socket
import sys

ADDRESS = ("127.0.0.1", 4001)
REQUEST = b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
TIMEOUT_S = 8.0


def ready(metrics: str) -> bool:
    """Read the gauge in a Prometheus text."""
    found = re.search(r'^watchtime_ready\{stage="\w+"\} (\S+)$', metrics, re.MULTILINE)
    return found is not None and float(found[1]) == 1.0


def asked() -> str:
    """Return the metrics with the headers before them; by a bare socket, since it is asked all the time."""
    with socket.create_connection(ADDRESS, TIMEOUT_S) as connection:
        connection.sendall(REQUEST)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def main() -> int:
    """Ask, and say why not on standard output, which `docker inspect` shows."""
    try:
        text = asked()
    except OSError as error:
        sys.stdout.write(f"no answer on port {ADDRESS[1]}: {error}\n")
        return 1
    if not ready(text):
        sys.stdout.write("the stage says that it is not ready\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
