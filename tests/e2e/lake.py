"""A whole stack behind the gateway, so that what a browser did can be read from the daily files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.local.broker import QUICK_START
from deploy.local.ports import free_port
from gateway.intake import Record
from gateway.publish import KafkaPublisher, MemoryPublisher
from tests.proof import lake_rows
from tests.stacks import Stack


class RelayPublisher(MemoryPublisher):
    """Remembers records like its base, once the stack's broker has acknowledged them."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__()
        self._broker = KafkaPublisher(bootstrap_servers)

    async def start(self) -> None:
        """Reach for the broker."""
        await self._broker.start()

    async def publish(self, records: Sequence[Record]) -> None:
        """Publish for real, unless the test holds or refuses."""
        if self.ready:
            await self._broker.publish(records)
        await super().publish(records)

    async def stop(self) -> None:
        """Let go of the broker."""
        await self._broker.stop()


class Lake:
    """The daily files of a stack of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._stack = Stack(data_dir, {"KAFKA_OPTS": " ".join(QUICK_START)})

    def up(self) -> None:
        """Start the stack."""
        self._stack.up("--gateway-port", str(free_port()), "--refresh-s", "1")

    def down(self) -> None:
        """Stop the stack."""
        self._stack.down()

    @property
    def bootstrap_servers(self) -> str:
        """The stack's broker."""
        return str(self._stack.endpoints["bootstrap_servers"])

    def video_ms(self) -> Counter[tuple[str, str]]:
        """Return what video_daily says over all days: by video, ms of fg, bg and ad, and views."""
        total: Counter[tuple[str, str]] = Counter()
        for (table, _), rows in lake_rows(self._stack).items():
            if table == "video_daily":
                for row in rows:
                    for kind, column in (
                        ("fg", "watch_ms_fg"),
                        ("bg", "watch_ms_bg"),
                        ("ad", "ad_ms"),
                        ("views", "views"),
                    ):
                        total[row["video_id"], kind] += row[column]
        return +total
