"""The image's health check: does the stage in this container say that it is ready? Exit 0 yes, 1 no.

Each stage serves its metrics on port 4001 in its container, with the gauge `watchtime_ready`.
"""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import re
import sys
import urllib.request

URL = "http://127.0.0.1:4001/metrics"


def ready(metrics: str) -> bool:
    """Read the gauge in a Prometheus text."""
    found = re.search(r'^watchtime_ready\{stage="\w+"\} (\S+)$', metrics, re.MULTILINE)
    return found is not None and float(found[1]) == 1.0


def main() -> int:
    """Ask, and say why not on standard output, which `docker inspect` shows."""
    try:
        with urllib.request.urlopen(URL, timeout=4) as answer:
            text = answer.read().decode()
    except OSError as error:
        sys.stdout.write(f"no answer from {URL}: {error}\n")
        return 1
    if not ready(text):
        sys.stdout.write("the stage says that it is not ready\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
