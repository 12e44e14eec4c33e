"""A broker with raw records, and a lake that a test writes as the stages would."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from sinks import reconcile_command
from sinks.chunks import Chunks, RawRecord
from sinks.folder import FolderStore
from sinks.keys import FileKey, topic8
from sinks.provenance import ChunkProvenance
from streams.contract.days import dt_of_ms
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table
from streams.contract.topics import ARCHIVE_GROUP, EVENTS, PARTIALS_GROUP
from streams.topic_id import topic_ids
from tests.lakes import file_bytes, write

NASTY = "a\u0000|\u2028'<b>🦉"


class Made:
    """A broker with raw records, and a lake whose objects this test wrote as the stages would."""

    def __init__(self, data_dir: Path, bootstrap_servers: str, group: str) -> None:
        self.data_dir, self.bootstrap_servers, self.group = data_dir, bootstrap_servers, group
        self.now_ms = time.time_ns() // 1_000_000
        self.dt = dt_of_ms(self.now_ms)
        self.hour = self.now_ms // 3_600_000 % 24
        self.root = data_dir / "lake"
        self.store = FolderStore(self.root)
        facts = {"lake": self.root.as_uri(), "s3_endpoint": "", "bootstrap_servers": bootstrap_servers, "group": group}
        (data_dir / "endpoints.json").write_text(json.dumps(facts))
        self.chunk_keys: list[str] = []

    async def append(self, partition: int, *lines: bytes) -> None:
        """Append one raw record."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers)
        await producer.start()
        try:
            value = b"".join(line + b"\n" for line in lines)
            await producer.send_and_wait(EVENTS, value, key=b"c", partition=partition)
        finally:
            await producer.stop()

    async def archive(self, chunk_records: int = 2) -> None:
        """Write every raw record into objects of a few records each, and commit what the stages would."""
        ids = await topic_ids(self.bootstrap_servers, [EVENTS])
        ends = await self._each_record(chunk_records, ids[EVENTS])
        for group in (PARTIALS_GROUP, ARCHIVE_GROUP):
            await self.commit(group, ends)

    async def _each_record(self, chunk_records: int, topic_id: Any) -> dict[TopicPartition, int]:
        consumer = AIOKafkaConsumer(EVENTS, bootstrap_servers=self.bootstrap_servers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            ends: dict[TopicPartition, int] = await consumer.end_offsets(list(consumer.assignment()))
            records: dict[TopicPartition, list[RawRecord]] = {partition: [] for partition in ends}
            while any(len(records[partition]) < end for partition, end in ends.items()):
                for partition, found in (await consumer.getmany(timeout_ms=200)).items():
                    # One stamp: records of two hours would be two chunks, and this writes one.
                    records[partition] += [RawRecord(r.offset, self.now_ms, r.value, control=False) for r in found]
        finally:
            await consumer.stop()
        for partition, found in records.items():
            for first in range(0, len(found), chunk_records):
                await self._put_chunk(partition.partition, found[first : first + chunk_records], topic_id)
        return ends

    async def _put_chunk(self, partition: int, records: list[RawRecord], topic_id: Any) -> None:
        chunks = Chunks(EVENTS, topic8(topic_id), partition, records[0].offset)
        assert not chunks.take(records), "one chunk"
        assert chunks.open is not None
        provenance = ChunkProvenance(
            topic=EVENTS,
            topic_id=str(topic_id),
            partition=partition,
            first=records[0].offset,
            last=records[-1].offset,
            state="closed",
        )
        key = chunks.open.key
        stat = await self.store.head(key)
        await self.store.put(key, chunks.open.content(), provenance.encode(), etag=stat and stat.etag)
        self.chunk_keys.append(key)

    async def commit(self, group: str, offsets: dict[TopicPartition, int]) -> None:
        """Commit as a stage does."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers, group_id=f"{self.group}-{group}", enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        finally:
            await consumer.stop()

    def put_file(self, table: Table, *rows: tuple[Any, ...], part: tuple[int, int] = (0, 1)) -> None:
        """Write a daily file."""
        key = FileKey(table.name, self.dt, *part, "parquet").encode()
        write(self.root, {key: file_bytes(table, self.dt, rows, "parquet")})

    def put_files(self, ticks: int = 2) -> None:
        """Write the files that say what `ticks` ticks of a second, one start and one repeat say."""
        sums = (ticks * 1_000, ticks * 1_000, 0, 1, 0)
        self.put_file(VIDEO, ("v", NASTY, *sums))
        self.put_file(CHANNEL, (NASTY, *sums))
        self.put_file(HOUR, (self.hour, *sums))
        # One more line is no JSON.
        self.put_file(INGEST, (ticks + 2, ticks + 1, 1, 0, 0, 1, 0))

    def event(self, event_id: str, event_type: str = "watch_tick") -> bytes:
        fields = {
            "event_id": event_id,
            "event_ts": self.now_ms,
            "event_type": event_type,
            "tab_id": "t",
            "client_id": "c",
            "video_id": "v",
            "channel_name": NASTY,
            "watch_ms_delta": 1_000,
            "received_at": self.now_ms,
        }
        return json.dumps(fields).encode()

    def run(self, *arguments: str) -> int:
        return self.run_days("--dt", self.dt, *arguments)

    def run_days(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        parser.add_argument("--data-dir", type=Path, default=self.data_dir)
        reconcile_command.add_arguments(parser)
        return reconcile_command.run(parser.parse_args(["--wait", "20", *arguments]))
