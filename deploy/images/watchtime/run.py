"""The image's entry: `gateway`, `streams`, `sinks`, `setup`, or any other program with its arguments.

A worker's instance name is the container's host name, unless it is told one: Docker keeps it when it restarts a
container that died, and the broker then hands the same partitions back at once instead of waiting for the dead worker.
"""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import os
import socket
import sys

MODULES = {"gateway": "gateway", "streams": "streams", "sinks": "sinks", "setup": "deploy.setup"}


def command(arguments: list[str]) -> list[str]:
    """Return the program to run."""
    module = MODULES.get(arguments[0])
    return ["python", "-P", "-m", module, *arguments[1:]] if module else arguments


def variables(arguments: list[str], host: str) -> dict[str, str]:
    """Return the variables that a stage is given when the environment does not set them."""
    stage = arguments[0]
    return {f"{stage.upper()}_INSTANCE": host} if stage in {"streams", "sinks"} else {}


if __name__ == "__main__":
    wanted = sys.argv[1:]
    environ = {**variables(wanted, socket.gethostname()), **os.environ}
    program = command(wanted)
    try:
        os.execvpe(program[0], program, environ)  # noqa: S606 - what the container was asked to run
    except FileNotFoundError:
        sys.exit(f"{program[0]!r} is not in this image: say {', '.join(MODULES)}, or `watchtime` with a command")
