"""What a reconciliation shows while it reads: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_PLAIN_LINE_S: Final = 5.0


class Progress:
    """One bar, or lines where no terminal is."""

    def __init__(self, title: str, bar: Bar | None) -> None:
        self._title = title
        self._bar = bar
        self._task = bar.add_task(title, total=None) if bar else None
        self._last = time.monotonic()

    def report(self, text: str) -> None:
        """Show what is being done."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=text)
        elif time.monotonic() - self._last >= _PLAIN_LINE_S:
            self._last = time.monotonic()
            sys.stderr.write(f"{self._title}: {text}\n")

    def advance(self, done: int, total: int) -> None:
        """Show how many raw objects are read."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Write a result, which stays, to standard output."""
        if self._bar:
            self._bar.stop()
        sys.stdout.write(text)
        sys.stdout.flush()
        if self._bar:
            self._bar.start()


@contextlib.contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Give a progress to tell."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Progress(title, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        yield Progress(title, bar)
