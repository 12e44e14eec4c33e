"""The daily totals as they change: read from the compacted topics, kept by row, drawn as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from athena.output import visible
from streams.contract.keys import decode_daily_key
from streams.contract.rows import CHANNEL, INGEST, TABLE_BY_TOPIC, VIDEO, Table
from streams.ending import stop_consumer

_TOP: Final = 8
_NAME_WIDTH: Final = 28
_SHOWN: Final = (VIDEO, CHANNEL, INGEST)


class LiveTotals:
    """The rows of the daily topics by (table, dt, id); the last value of a key is its row."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: Final[dict[str, dict[tuple[str, str], dict[str, Any]]]] = {table.name: {} for table in _SHOWN}

    def apply(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take in a record of a daily topic; a null value takes its row away."""
        rows = self._rows[TABLE_BY_TOPIC[topic].name]
        if value is None:
            rows.pop(decode_daily_key(key), None)
        else:
            rows[decode_daily_key(key)] = orjson.loads(value)

    def events(self) -> int:
        """Return how many events the rows count, each once."""
        return sum(row["total_events"] for row in self._rows[INGEST.name].values())

    def repeats(self) -> int:
        """Return how many repeats were told apart."""
        return sum(row["duplicate_events"] for row in self._rows[INGEST.name].values())

    def days(self) -> dict[str, tuple[int, int]]:
        """Return (events, repeats) of every day with a row."""
        return {dt: (row["total_events"], row["duplicate_events"]) for (dt, _), row in self._rows[INGEST.name].items()}

    def watch_ms(self) -> int:
        """Return the time watched, milliseconds, of all videos and days."""
        return sum(row["watch_ms"] for row in self._rows[VIDEO.name].values())

    def top(self, table: Table, count: int = _TOP) -> list[tuple[str, int, int]]:
        """Return (id, watch_ms, views) of the rows watched longest, over all days."""
        sums: dict[str, list[int]] = {}
        for (_, row_id), row in self._rows[table.name].items():
            total = sums.setdefault(row_id, [0, 0])
            total[0] += row["watch_ms"]
            total[1] += row["views"]
        ranked = sorted(sums.items(), key=lambda entry: (-entry[1][0], entry[0]))
        return [(row_id, watch_ms, views) for row_id, (watch_ms, views) in ranked[:count]]

    def line(self, posted: int) -> str:
        """Return the state as one plain line."""
        best = self.top(VIDEO, 1)
        lead = f"; most watched {visible(best[0][0])} with {duration(best[0][1])}" if best else ""
        return (
            f"{posted:,} events acknowledged, {self.events():,} counted, {self.repeats():,} repeats told apart, "
            f"{duration(self.watch_ms())} watched{lead}"
        )

    def draw(self, posted: int) -> RenderableType:
        """Return the state as tables."""
        tables = [_table("Videos", self.top(VIDEO)), _table("Channels", self.top(CHANNEL))]
        return Group(Columns(tables, padding=(0, 2)), Text(self.line(posted)))


class DailyReader:
    """Reads the daily topics from their start, committed records only."""

    def __init__(self, bootstrap_servers: str, totals: LiveTotals) -> None:
        """Prepare to read into `totals`."""
        self._totals: Final = totals
        # Without a group a consumer is given all partitions.
        self._consumer: Final = AIOKafkaConsumer(
            *(table.topic for table in _SHOWN),
            bootstrap_servers=bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    async def start(self) -> None:
        """Connect, and read what is there."""
        await self._consumer.start()
        await self.catch_up()

    async def stop(self) -> None:
        """Disconnect."""
        await stop_consumer(self._consumer)

    async def poll(self) -> None:
        """Take in what has arrived, waiting a little for something."""
        fetched: Mapping[TopicPartition, list[Any]] = await self._consumer.getmany(timeout_ms=250)
        for partition, records in fetched.items():
            for record in records:
                self._totals.apply(partition.topic, record.key, record.value)

    async def catch_up(self) -> None:
        """Read to the ends as they are now."""
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self._consumer.assignment()))
        for partition, end in ends.items():
            while await self._consumer.position(partition) < end:
                await self.poll()


def duration(watch_ms: int) -> str:
    """Return milliseconds as hours, minutes and seconds."""
    minutes, seconds = divmod(watch_ms // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _table(title: str, rows: list[tuple[str, int, int]]) -> RichTable:
    table = RichTable(title=title, title_justify="left", min_width=52)
    table.add_column("name", width=_NAME_WIDTH, no_wrap=True, overflow="ellipsis")
    table.add_column("watched", justify="right")
    table.add_column("views", justify="right")
    for row_id, watch_ms, views in rows:
        table.add_row(Text(visible(row_id)), duration(watch_ms), f"{views:,}")
    return table
