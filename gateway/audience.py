"""Viewers of one day, who are shown each new view together."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.views import View


class Audience:
    """Those who look at the same day; the caller counts them and says what is new."""

    def __init__(self, view: View) -> None:
        #: The newest view.
        self.view = view
        self.viewers = 0
        #: Set when nothing more will come.
        self.over = False
        self._news = asyncio.Event()

    def show(self, view: View) -> None:
        """Show a new view to all."""
        self.view = view
        self._wake()

    def end(self) -> None:
        """Let all go."""
        self.over = True
        self._wake()

    async def wait(self, within_s: float) -> None:
        """Return when there is something new, at the latest after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
