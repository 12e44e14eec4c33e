"""Raw objects in the order of deliveries, their lines, and the holes between them."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from sinks.keys import ChunkKey
from sinks.provenance import ChunkProvenance
from sinks.raw_days import Chunk, Continuity, RawHoleError, chunk_of, list_chunks, raw_days_of, read_chunk
from sinks.reconcile_command import render
from sinks.reconcile_day import Finding
from sinks.reconcile_settle import lag
from sinks.store import MemoryStore


def key(dt: str, partition: int, first: int, topic8: str = "0123abcd") -> str:
    return ChunkKey(dt, "watch.events", topic8, partition, first).encode()


def chunk(partition: int, first: int, topic8: str = "0123abcd") -> Chunk:
    found = chunk_of(key("2026-03-10", partition, first, topic8))
    assert found is not None
    return found


def metadata(partition: int, first: int, last: int) -> dict[str, str]:
    return ChunkProvenance(
        topic="watch.events", topic_id="x", partition=partition, first=first, last=last, state="closed"
    ).encode()


async def test_days_before_and_after_are_listed_in_the_order_of_offsets() -> None:
    store = MemoryStore()
    keys = [
        key("2026-03-10", 1, 5),
        key("2026-03-10", 0, 90),
        key("2026-03-11", 0, 1_000),
        key("2026-02-23", 0, 10),
        key("2026-03-19", 1, 7),
    ]
    too_far = [key("2026-02-22", 0, 1), key("2026-03-20", 0, 2_000)]
    for name in [*keys, *too_far, "raw/2026/03/10/firehose-1-2026-03-10-00-00-00-abc"]:
        await store.put(name, b"", {}, etag=None)

    chunks = await list_chunks(store, raw_days_of("2026-03-10"))

    assert [(found.partition, found.first) for found in chunks] == [(0, 10), (0, 90), (0, 1_000), (1, 5), (1, 7)]


async def test_a_chunk_that_was_listed_and_is_gone_is_a_hole() -> None:
    store = MemoryStore()
    await store.put(chunk(0, 0).key, b"content", {}, etag=None)

    assert (await read_chunk(store, chunk(0, 0))).body == b"content"
    with pytest.raises(RawHoleError, match="is gone"):
        await read_chunk(store, chunk(0, 99))


def test_contiguous_chunks_are_no_hole_and_others_are() -> None:
    continuity = Continuity()
    continuity.see(chunk(0, 5), metadata(0, 5, 9))
    continuity.see(chunk(0, 10), metadata(0, 10, 10))
    continuity.see(chunk(1, 0), metadata(1, 0, 3))
    continuity.see(chunk(0, 0, "ffffffff"), metadata(0, 0, 0))

    assert continuity.extent("0123abcd", 0) == (5, 11)
    assert continuity.extent("0123abcd", 1) == (0, 4)
    assert continuity.extent("0123abcd", 2) is None
    with pytest.raises(RawHoleError, match="offsets 11 to 11 are in no raw object before raw/2026/03/10/"):
        continuity.see(chunk(0, 12), metadata(0, 12, 20))


def test_lag_counts_from_the_committed_offset_or_the_start_of_the_log() -> None:
    ends = {TopicPartition("t", p): end for p, end in enumerate((10, 10, 10, 0))}
    starts = {TopicPartition("t", p): start for p, start in enumerate((0, 4, 10, 0))}

    behind = lag(ends, starts, {TopicPartition("t", 0): 10})

    assert behind == {TopicPartition("t", 1): 6}


def test_a_finding_reads_well() -> None:
    both = {"dt": "2026-03-10", "video_id": "v", "watch_ms": 5}
    finding = Finding(
        dt="2026-03-10",
        drift=4,
        rows=10,
        events=20,
        chunks=2,
        counted_again=3,
        dropped=0,
        differences=[
            {"table": "video_daily", "dt": "2026-03-10", "id": "v", "expected": both, "file": {**both, "watch_ms": 6}},
            {"table": "video_daily", "dt": "2026-03-10", "id": "w", "expected": None, "file": both},
            {"table": "video_daily", "dt": "2026-03-10", "id": "x", "expected": both, "file": None},
        ],
    )

    lines = render(finding).splitlines()

    assert lines[0] == "2026-03-10 drift=4 rows=10 events=20 raw_objects=2"
    assert "3 repeats counted again" in lines[1]
    assert lines[2] == "  video_daily 'v': watch_ms 6 instead of 5"
    assert "no event says so" in lines[3]
    assert "missing in the file" in lines[4]
    assert lines[5] == "… and 1 more rows"
