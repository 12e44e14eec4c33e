"""A closed raw object stays as it is, also for an archive that slept meanwhile, and any reader reads it to its end."""

from __future__ import annotations

import gzip
import io
import zlib

import duckdb
import pyarrow as pa
import pyarrow.json as pj
import pytest
from aiokafka.structs import ConsumerRecord

from sinks.precedence import ReadAgainError
from sinks.rebuild_lines import content
from sinks.store import MemoryStore
from streams.contract.topics import EVENTS
from tests.bad_stores import FailTimes, UnreliableStore
from tests.unit.sinks.test_sinks_archive_lane import FIRST_KEY, START, archive, event, lane_on, objects


def nothing(offset: int) -> ConsumerRecord:
    """A record that leaves no lines and commands nothing."""
    return ConsumerRecord(EVENTS, 3, offset, START, 1, b"client", b"", None, 6, 0, ())


async def test_one_that_slept_does_not_lengthen_an_object_whose_first_records_left_the_log():
    store = UnreliableStore(MemoryStore())
    log = [event(0), event(1), event(2)]
    await archive(lane_on(store), log[:2])
    zombie, other = lane_on(store), lane_on(store.inner)

    async def close_it(_):
        store.before_put = FailTimes(0)
        # Retention took offset 0: the object is closed as it is, with the bytes that the zombie knows.
        await archive(other, log[1:], start=1)

    store.before_put = close_it
    with pytest.raises(ReadAgainError):
        await archive(zombie, log)

    assert await objects(store) == [(0, 1, "closed", [0, 1]), (2, 2, "open", [2])]


async def test_one_that_slept_does_not_open_again_what_was_closed_with_no_line_more():
    store = UnreliableStore(MemoryStore())
    log = [event(0), nothing(1), event(2, hour=1)]
    zombie, other = lane_on(store), lane_on(store.inner)
    await archive(lane_on(store), log[:1])

    async def close_it(_):
        store.before_put = FailTimes(0)
        await archive(other, log)

    store.before_put = close_it
    with pytest.raises(ReadAgainError):
        await archive(zombie, log[:2])

    assert await objects(store) == [(0, 1, "closed", [0]), (2, 2, "open", [2])]


async def test_every_reader_of_gzip_reads_a_closed_object_to_its_end(tmp_path):
    store = MemoryStore()
    await archive(lane_on(store), [event(0), event(1), event(2, hour=1)])
    body = (await store.get(FIRST_KEY)).body
    text = gzip.decompress(body)
    file = tmp_path / "closed.ndjson.gz"
    file.write_bytes(body)

    assert text.count(b"\n") == 2
    assert content("an object", body) == text
    assert zlib.decompressobj(31).decompress(body) == text, "a reader that stops after the first member"
    with gzip.open(file, "rb") as stream:
        assert stream.read() == text
    with pa.CompressedInputStream(pa.BufferReader(body), "gzip") as stream:
        assert stream.read() == text
    assert pj.read_json(io.BytesIO(text)).num_rows == 2
    count = "SELECT count(*), sum(n) FROM read_json(?, format = 'newline_delimited')"
    assert duckdb.sql(count, params=[str(file)]).fetchone() == (2, 1)
