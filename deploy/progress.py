"""How commands show people what takes a while. On standard error, so that output for programs stays clean."""

from __future__ import annotations

import time
from typing import Any, TextIO

from rich.console import Console

from deploy.local.cache import Cache
from deploy.local.downloads import fetch


class ChildLines:
    """A line for each child that becomes ready, ends or stops, with the seconds since the command began."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._restarts: dict[str, int] = {}

    def child(self, told: dict[str, Any]) -> None:
        """Show a child's new state, unless it is a mere step on the way."""
        name, state = told["name"], told["state"]
        ended_again = told["restarts"] > self._restarts.get(name, 0)
        self._restarts[name] = told["restarts"]
        if ended_again:
            self.text(f"{self._elapsed()}  {name:<12} ended, is started again")
        elif state in {"ready", "stopped"}:
            self.text(f"{self._elapsed()}  {name:<12} {state}")
        elif "starting_s" in told:
            self.text(f"{self._elapsed()}  {name:<12} is starting still; its log says what it does")

    def text(self, text: str) -> None:
        """Show a line."""
        print(text, file=self._stream, flush=True)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"


def fetch_with_progress(cache: Cache) -> None:
    """Download what is missing, with a moving line on a terminal and one line a download elsewhere."""
    if not cache.missing():
        return
    console = Console(stderr=True, highlight=False)
    began = time.monotonic()
    console.print(f"downloading {' and '.join(cache.missing())} to {cache.folder} (once)")
    with console.status("starting") as status:
        fetch(cache, lambda text: status.update(f"{text}  [{time.monotonic() - began:.0f} s]"))
    console.print(f"downloaded in {time.monotonic() - began:.0f} s")
