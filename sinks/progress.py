"""How a long command shows what it is doing: a moving line on a terminal, a line now and then in a log."""

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
