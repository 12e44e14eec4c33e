"""What the owner of a shard takes from its topics when it restores."""

from __future__ import annotations

import pytest
from aiokafka.structs import ConsumerRecord

from streams.contract.days import dt_of_ms
from streams.contract.keys import PartialKey, daily_key
from streams.contract.rows import CLIENT, encode_row, row_of
from streams.settings import Settings
from streams.state_records import Share, encode
from streams.summing import SummingOwner


def record(topic: str, key: bytes, value: bytes | None) -> ConsumerRecord:
    return ConsumerRecord(
        topic=topic,
        partition=0,
        offset=0,
        timestamp=0,
        timestamp_type=1,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key),
        serialized_value_size=len(value or b""),
        headers=(),
    )


def test_a_row_that_went_and_comes_back_just_as_it_was_is_published_again():
    owner = SummingOwner(0, Settings(client_table=True))
    dt = dt_of_ms(1_795_530_000_000)
    counters = [5_000, 0, 0, 0]
    row = encode_row(row_of(CLIENT, dt, "ann", counters, None), 1)
    owner._put_published(CLIENT, record(CLIENT.topic, daily_key(dt, "client", "ann"), row))
    owner._put_published(CLIENT, record(CLIENT.topic, daily_key(dt, "client", "ann"), None))
    share = encode(Share(v=1, counters=counters))
    owner._put_share(record("watch.partials", PartialKey(dt, "client", "ann", 2).encode(), share))

    assert [row.key for row in owner._totals.take_differences()] == [daily_key(dt, "client", "ann")]


@pytest.mark.parametrize(
    "value", [b"nonsense", b"null", b"[]", b'{"watch_ms_fg":5000.0}', b'{"channel":5}', b'{"watch_ms_fg":"x"}', b"\xff"]
)
def test_a_record_that_is_no_row_is_passed_over_and_the_right_row_published_over_it(value):
    owner = SummingOwner(0, Settings(client_table=True))
    dt = dt_of_ms(1_795_530_000_000)
    counters = [5_000, 0, 0, 0]
    for row_id in ("ann", "bob"):
        row = encode_row(row_of(CLIENT, dt, row_id, counters, None), 1)
        owner._put_published(CLIENT, record(CLIENT.topic, daily_key(dt, "client", row_id), row))
    owner._put_published(CLIENT, record(CLIENT.topic, daily_key(dt, "client", "ann"), value))
    owner._put_published(CLIENT, record(CLIENT.topic, b"no key", row))
    for row_id in ("ann", "bob"):
        share = encode(Share(v=1, counters=counters))
        owner._put_share(record("watch.partials", PartialKey(dt, "client", row_id, 2).encode(), share))

    assert [row.key for row in owner._totals.take_differences()] == [daily_key(dt, "client", "ann")]
