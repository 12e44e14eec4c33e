"""A lake as the stages would leave it, without a broker: the same pure parts, called in the order of the path.

For tests of commands that work on lakes. Days and broker times are whatever the test says.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.viewers import Audience
from gateway.intake import RejectedLimit, sort_events
from sinks.chunks import Chunk, Chunks, RawRecord
from sinks.files import batch_bytes, day_file
from sinks.keys import FileKey, Format, topic8
from sinks.layout import settle_layout
from sinks.provenance import ChunkProvenance, FileProvenance
from sinks.raw_objects import CLOSING
from sinks.row_columns import row_batch
from sinks.store import Store, content_hash
from sinks.tables import DayTable
from streams.contract.keys import PartialKey, partition_of, shard_of
from streams.contract.rows import TABLE_BY_TOPIC, Table
from streams.contract.topics import EVENTS, daily_tables
from streams.fold_settings import FoldSettings
from streams.partition_state import PartitionState
from streams.state_records import Share, decode
from streams.totals import Totals

TOPIC_ID = uuid.UUID("0f6b3b52-9d1c-4a37-8b5e-51f0a2c7e911")


class LiveLake:
    """P raw partitions and Q shards; `post` events, then `write` the lake."""

    def __init__(  # noqa: PLR0913
        self,
        *,
        partitions: int = 2,
        shards: int = 1,
        form: Format = "jsonl",
        client_table: bool = False,
        day_rule: Any = "event",
        max_bytes: int = 4_000,
    ) -> None:
        self.partitions, self.shards, self.form = partitions, shards, form
        self.tables = daily_tables(client_table=client_table)
        settings = FoldSettings(
            partitions=partitions, shards=shards, day_rule=day_rule, client_table=client_table, topic_id=TOPIC_ID
        )
        self.states = [PartitionState(p, settings) for p in range(partitions)]
        self._offsets = [0] * partitions
        self._chunks = [Chunks(EVENTS, topic8(TOPIC_ID), p, 0, max_bytes=max_bytes) for p in range(partitions)]
        self._ended: list[tuple[int, Chunk]] = []
        self._totals = Totals()
        self._rows = {(table.topic, q): DayTable(table) for table in self.tables for q in range(shards)}
        self._row_offset = 0

    def post(self, events: Sequence[Mapping[str, Any]], broker_ms: int) -> None:
        """Deliver one request, received and appended at `broker_ms`."""
        intake = sort_events(list(events), broker_ms, RejectedLimit(), 0.0)
        assert intake.accepted == len(events), intake.rejected
        for record in intake.records:
            self.append(record.key, record.value, broker_ms)

    def append(self, key: bytes | None, value: bytes, broker_ms: int) -> int:
        """Append one raw record; return its partition."""
        p = partition_of(key or b"", self.partitions)
        offset = self._offsets[p]
        self._offsets[p] += 1
        self.states[p].fold(offset, broker_ms, value)
        self._archive(p, RawRecord(offset, broker_ms, value, control=False))
        return p

    def forget(self, client_id: str, broker_ms: int) -> tuple[int, int]:
        """Append the control record of a client that is to be forgotten; return its partition and offset."""
        p = partition_of(client_id.encode(), self.partitions)
        offset = self._offsets[p]
        self._offsets[p] += 1
        self.states[p].forget(offset, broker_ms, client_id)
        self._archive(p, RawRecord(offset, broker_ms, None, control=True))
        return p, offset

    def _archive(self, p: int, record: RawRecord) -> None:
        self._ended += [(p, chunk) for chunk in self._chunks[p].take([record])]

    async def write(self, store: Store) -> None:
        """Write raw objects and daily files over what is there."""
        await settle_layout(store, self.form, self.shards)
        for p, chunk in self._ended:
            await self._put_chunk(store, p, chunk, "closed")
        self._ended = []
        for p, chunks in enumerate(self._chunks):
            if chunks.open:
                await self._put_chunk(store, p, chunks.open, "open")
        self._sum()
        for (topic, shard), rows in self._rows.items():
            rows.retry()  # nothing is ever noted as written here, so these are all days
            for dt in rows.changed():
                await self._put_file(store, TABLE_BY_TOPIC[topic], shard, rows, dt)

    def _sum(self) -> None:
        for state in self.states:
            for shares in state.take_changes().partials.values():
                for key, value in shares:
                    if value is None:
                        self._totals.drop_share(PartialKey.decode(key))
                    else:
                        self._totals.put_share(PartialKey.decode(key), decode(Share, value))
        for row in self._totals.take_differences():
            shard = shard_of_key(row.table, row.key, self.shards)
            self._rows[row.table.topic, shard].apply(
                row.key, row.value, self._row_offset, row.generation, oldest="0001-01-01"
            )
            self._row_offset += 1

    async def _put_chunk(self, store: Store, p: int, chunk: Chunk, state: Any) -> None:
        provenance = ChunkProvenance(
            topic=EVENTS, topic_id=str(TOPIC_ID), partition=p, first=chunk.first, last=chunk.last, state=state
        )
        body = chunk.content() + (CLOSING if state == "closed" else b"")
        await put_over(store, chunk.key, body, provenance.encode())

    async def _put_file(self, store: Store, table: Table, shard: int, rows: DayTable, dt: str) -> None:
        snapshot = rows.snapshot(dt)
        built = day_file(table, snapshot, self.form)
        key = FileKey(table.name, dt, shard, self.shards, self.form).encode()
        if not built.totals.rows and await store.head(key) is None:
            return
        provenance = FileProvenance(
            topic=table.topic,
            topic_id=str(TOPIC_ID),
            offset=snapshot.offset,
            generation=snapshot.generation,
            content_hash=content_hash(built.body),
            totals=built.totals,
            newest=built.newest,
        )
        await put_over(store, key, built.body, provenance.encode())


#: 2026-01-06T02:05:00Z: the viewers of `watched_lake` watch on the 5th and 6th.
NOW = 1_767_665_100_000
DAYS = ("2026-01-05", "2026-01-06")


def watched_lake(**settings: Any) -> LiveLake:
    """Return a lake of some viewers' events, a tenth of them delivered twice."""
    lake = LiveLake(**settings)
    audience = Audience(7, 6, NOW, strays=False)
    for client in range(6):
        for request in range(6):
            events = audience.take(client, 15, NOW)
            lake.post(events, NOW + request * 1_000)
            if (client + request) % 10 == 0:
                lake.post(events, NOW + request * 1_000 + 500)
    return lake


def file_bytes(table: Table, dt: str, rows: Sequence[tuple[Any, ...]], form: Format) -> bytes:
    """Return the content of a daily file from rows (columns after `dt`) in any order."""
    return batch_bytes(table, dt, row_batch(table, rows), form)


def shard_of_key(table: Table, key: bytes, shards: int) -> int:
    """Return the shard of a daily row by its key."""
    dt, _, row_id = key.decode().partition("|")
    return shard_of(dt, table.kind, row_id, shards)


def write(folder: Path, objects: Mapping[str, bytes]) -> None:
    """Write files below a folder, as others than this system leave them."""
    for key, body in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


async def put_over(store: Store, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
    """Write an object whatever is there."""
    stat = await store.head(key)
    await store.put(key, body, metadata or {}, etag=stat.etag if stat else None)


async def files(store: Store, prefix: str = "analytics/") -> dict[str, bytes]:
    """Return the content of the objects below a prefix, the layout left out."""
    found = {}
    for key in await store.keys(prefix):
        stored = await store.get(key)
        if stored is not None and not key.endswith("_layout.json"):
            found[key] = stored.body
    return found
