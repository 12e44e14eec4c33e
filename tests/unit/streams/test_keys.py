"""Keys and partitions: any characters in ids, and the same partition as Kafka's own clients choose."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from streams.contract.keys import PartialKey, daily_key, decode_daily_key, murmur2, partition_of, shard_of
from streams.contract.rows import TABLE_BY_KIND

dts = st.dates().map(lambda date: date.isoformat())
kinds = st.sampled_from(sorted(TABLE_BY_KIND))


@given(st.binary(max_size=70))
@example(b"")
@example(b"\xff" * 7)
def test_murmur2_is_kafkas(data):
    assert murmur2(data) == kafka_murmur2(data) % 2**32


@given(st.binary(min_size=1, max_size=40), st.integers(1, 64))
def test_a_client_lives_where_kafkas_default_partitioner_puts_it(key, partitions):
    every = list(range(partitions))

    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)


@given(dts, kinds, st.text(), st.integers(0, 999))
@example("2025-10-09", "channel", "|a|b||3|", 12)
@example("2025-10-09", "ingest", "", 0)
def test_partial_keys_come_back_whole(dt, kind, row_id, p):
    key = PartialKey(dt, kind, row_id, p)

    assert key.encode() == f"{dt}|{kind}|{row_id}|{p}".encode()
    assert PartialKey.decode(key.encode()) == key


@given(dts, kinds, st.text())
@example("2025-10-09", "video", "|a|b||3|")
def test_daily_keys_come_back_whole(dt, kind, row_id):
    row_id = "" if kind == "ingest" else row_id

    assert decode_daily_key(daily_key(dt, kind, row_id)) == (dt, row_id)


@given(dts, kinds, st.text(), st.integers(1, 32))
def test_a_row_lives_in_the_partition_of_its_daily_key(dt, kind, row_id, shards):
    text = dt if kind == "ingest" else f"{dt}|{row_id}"

    assert shard_of(dt, kind, row_id, shards) == (kafka_murmur2(text.encode()) & 0x7FFFFFFF) % shards


@pytest.mark.parametrize(
    "key", [b"", b"2025-10-09", b"2025-10-09|video", b"2025-10-09|video|x", b"a|b|c|d", b"\xff|a|b|1"]
)
def test_what_is_no_partial_key_is_refused(key):
    with pytest.raises(ValueError, match=r"."):
        PartialKey.decode(key)
