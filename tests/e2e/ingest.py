"""The real gateway application, in this process so that a test can break it, and the sums of what it accepted.

It publishes into memory; with a lake behind it also to that stack's broker, and then the daily files can be asked.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from aiohttp import web

from gateway.app import build_app
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract import topics
from tests.background_loop import BackgroundLoop
from tests.e2e.lake import Lake, RelayPublisher


class IngestServer:
    """A gateway that can go down and come back on the same port; what it took before stays."""

    def __init__(self, background: BackgroundLoop, lake: Lake | None = None, settings: Settings | None = None) -> None:
        self._background = background
        self._lake = lake
        self._settings = settings or Settings()
        self._lake_before = lake.video_ms() if lake else Counter()
        self._runner: web.AppRunner | None = None
        self._publishers: list[MemoryPublisher] = []
        self.port = 0

    @property
    def address(self) -> str:
        """What goes into the extension's options."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, on the port of the time before if there was one."""
        self._background.run(self._start())

    def stop(self) -> None:
        """Go down; nobody answers on the port."""
        self._background.run(self._stop())

    def hold(self) -> None:
        """Take requests, but let none be acknowledged."""
        self._background.run(self._hold(held=True))

    def release(self) -> None:
        """Acknowledge what was held, and what comes."""
        self._background.run(self._hold(held=False))

    @property
    def publisher(self) -> MemoryPublisher:
        """The running gateway's."""
        return self._publishers[-1]

    def requests_held(self) -> int:
        """How many requests wait for their acknowledgement."""
        return len(self.publisher.open._waiters)

    def lines(self) -> list[dict[str, Any]]:
        """Every accepted line, repeats included."""
        return [json.loads(line) for record in self._records(topics.EVENTS) for line in record.value.splitlines()]

    def rejected(self) -> list[bytes]:
        """Every rejected event; there should be none."""
        return [record.value for record in self._records(topics.REJECTED)]

    def events(self) -> list[dict[str, Any]]:
        """Each accepted event once, by the identity that streams use, in the order of arrival."""
        known: dict[tuple[str, str, int], dict[str, Any]] = {}
        for event in self.lines():
            known.setdefault((event["client_id"], event["seq_epoch"], event["seq"]), event)
        return list(known.values())

    def sums_ms(self) -> Counter[tuple[str, str]]:
        """Watch time by video and kind (fg, bg, ad)."""
        total: Counter[tuple[str, str]] = Counter()
        for event in self.events():
            if event["event_type"] == "watch_tick":
                kind = "ad" if event.get("ad") else {"background": "bg"}.get(event["watch_mode"], "fg")
                total[event["video_id"], kind] += event["watch_ms_delta"]
        return total

    def views(self) -> Counter[str]:
        """Views by video."""
        return Counter(event["video_id"] for event in self.events() if event["event_type"] == "video_start")

    def wait_for(self, event_type: str, timeout_s: float = 20, **fields: object) -> dict[str, Any]:
        """Return the first event of this type and these fields, waiting for it."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self.events():
                if event["event_type"] == event_type and all(
                    event.get(name) == value for name, value in fields.items()
                ):
                    return event
            if time.monotonic() > deadline:
                raise AssertionError(f"no {event_type} with {fields} within {timeout_s} s, only {self.events()}")
            time.sleep(0.05)

    def lake_difference(self) -> str | None:
        """Say how the rows in the lake differ from what was accepted; None when not at all, or without a lake."""
        if self._lake is None:
            return None
        expected = self.sums_ms() + Counter({(video, "views"): count for video, count in self.views().items()})
        rows = self._lake.video_ms()
        rows.subtract(self._lake_before)
        found = +rows
        return None if found == expected else f"accepted {dict(expected)}, in the lake {dict(found)}"

    async def _start(self) -> None:
        publisher = RelayPublisher(self._lake.bootstrap_servers) if self._lake else MemoryPublisher()
        self._publishers.append(publisher)
        self._runner = web.AppRunner(build_app(self._settings, publisher), access_log=None, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _hold(self, *, held: bool) -> None:
        if held:
            self._publishers[-1].open.clear()
        else:
            self._publishers[-1].open.set()

    def _records(self, topic: str) -> list[Any]:
        return [record for publisher in self._publishers for record in list(publisher.records) if record.topic == topic]
