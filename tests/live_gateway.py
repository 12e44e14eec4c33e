"""A gateway beside a test that cannot await: no broker, and rows that the test puts in by hand."""

from __future__ import annotations

from typing import Any

from gateway.app import CONNECTIONS, app_runner, build_app, site
from gateway.daily_reader import Reader
from gateway.held_days import HeldDays
from gateway.publish import MemoryPublisher
from gateway.settings import Settings
from streams.contract.keys import daily_key
from streams.contract.rows import Table, encode_row, row_of
from tests.background_loop import BackgroundLoop
from tests.clock import today


def put(  # noqa: PLR0913
    days: HeldDays,
    table: Table,
    row_id: str,
    counters: list[int],
    *,
    dt: str | None = None,
    channel: str | None = None,
    generation: int = 0,
) -> bool:
    """Let a row come, of today when no day is given; tell whether it was taken."""
    dt = dt or today()
    row = encode_row(row_of(table, dt, row_id, counters, channel), 5)
    return days.apply(table.topic, daily_key(dt, table.kind, row_id), row, generation)


class LiveGateway:
    """A gateway whose rows a test puts in by hand."""

    def __init__(self, background: BackgroundLoop, lake: str = "") -> None:
        self._background = background
        self._settings = Settings(lake=lake)
        self.reader = Reader(1_000)
        self.port = 0
        self.start()

    def start(self) -> None:
        async def begin() -> None:
            self._runner = app_runner(build_app(self._settings, MemoryPublisher(), reader=self.reader))
            await self._runner.setup()
            await site(self._runner, "127.0.0.1", self.port).start()
            self.port = self._runner.addresses[0][1]
            self.reader.caught_up.set()

        self._background.run(begin())

    def stop(self) -> None:
        self._background.run(self._runner.cleanup())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def put(self, table: Table, row_id: str, counters: list[int], **of: str) -> None:
        async def apply() -> None:
            put(self.reader.days, table, row_id, counters, **of)

        self._background.run(apply())

    def cut(self) -> None:
        """Cut all connections, and go on."""

        async def cut() -> None:
            for connection in list(self._runner.app[CONNECTIONS]._guarded.values()):
                connection.cut()

        self._background.run(cut())

    def catch_up(self) -> None:
        """Say that all rows are here."""

        async def say() -> None:
            self.reader.caught_up.set()

        self._background.run(say())

    def know(self, health: dict[str, Any]) -> None:
        self.reader.health = health
