"""How commands speak with people: a moving line for long work on a terminal, now and then one in a log; a question."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console

Report = Callable[[str], None]

_PLAIN_LINE_S: Final = 5.0


@contextlib.contextmanager
def reporting(title: str) -> Iterator[Report]:
    """Give a function that shows what is being done, on standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(title) as status:
            yield lambda text: status.update(f"{title}: {text}")
        return
    last = time.monotonic()

    def report(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_LINE_S:
            last = time.monotonic()
            sys.stderr.write(f"{title}: {text}\n")

    yield report


def agreed(question: str) -> bool:
    """Ask on standard error, as standard output may go to a program; anything but yes is no."""
    sys.stdout.flush()  # what the question is about
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
