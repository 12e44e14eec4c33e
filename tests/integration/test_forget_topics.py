"""What forgetting writes into topics, on a real broker: days that no stage holds any more."""

from __future__ import annotations

import time

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from deploy.forget_topics import ControlRecord, bury_old_rows, bury_old_shares, last_values, send_control
from streams.contract.days import dt_of_ms, shift_dt
from streams.contract.keys import PartialKey, daily_key, partition_of, shard_of
from streams.contract.rows import CLIENT, VIDEO, encode_row, row_of
from streams.contract.topics import CONTROL_FORGET, CONTROL_HEADER, EVENTS, PARTIALS, STATE
from streams.restore import committed_reader
from streams.state_records import MARKER_KEY, VERSION, Marker, Share, client_key, encode

ME = "client|with|bars"
TODAY = dt_of_ms(time.time_ns() // 1_000_000)
OLD = shift_dt(TODAY, -15)
OLDER = shift_dt(TODAY, -29)
SHARDS = 2


async def put(broker, topic, partition, key, value):
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, key=key, partition=partition)
    finally:
        await producer.stop()


def share(offset):
    return encode(Share(v=VERSION, offset=offset, counters=[1, 0, 0, 0]))


async def put_share(broker, dt, kind, row_id, *, offset):
    p = 1
    key = PartialKey(dt, kind, row_id, p).encode()
    await put(broker, PARTIALS, shard_of(dt, kind, row_id, SHARDS), key, share(offset))
    await put(broker, STATE, p, key, share(offset))
    return key


async def keys_of(broker, topic):
    return {key for values in (await last_values(broker, topic)).values() for key in values}


async def test_the_control_record_goes_to_the_partition_of_the_client(fresh_topics):
    broker = await fresh_topics(partitions=3)

    control = await send_control(broker, ME)

    assert partition_of(ME.encode(), 3) == control.partition
    async with committed_reader(broker) as reader:
        partition = TopicPartition(EVENTS, control.partition)
        reader.assign([partition])
        reader.seek(partition, control.offset)
        record = await reader.getone(partition)
    assert (ME.encode(), b"", ((CONTROL_HEADER, CONTROL_FORGET),)) == (record.key, record.value, tuple(record.headers))


async def test_shares_of_the_client_from_before_go_and_no_others(fresh_topics):
    broker = await fresh_topics(partitions=3, shards=SHARDS, client_table=True)
    gone = await put_share(broker, OLD, "client", ME, offset=5)
    kept = {
        await put_share(broker, TODAY, "client", ME, offset=7),
        await put_share(broker, OLD, "client", "another", offset=5),
        await put_share(broker, OLD, "video", ME, offset=5),
    }
    await put(broker, STATE, 1, MARKER_KEY, encode(Marker(VERSION, 7)))
    await put(broker, STATE, 1, client_key("another"), encode(Marker(VERSION)))
    await put(broker, PARTIALS, 0, b"_refold", b"{}")
    await put(broker, PARTIALS, 0, b"_folded|1", b"{}")

    buried = await bury_old_shares(broker, ME, ControlRecord(1, 6))

    assert buried == 2
    assert gone not in await keys_of(broker, PARTIALS) | await keys_of(broker, STATE)
    assert kept | {b"_refold", b"_folded|1"} == await keys_of(broker, PARTIALS)
    assert kept | {MARKER_KEY, client_key("another")} == await keys_of(broker, STATE)
    assert await bury_old_shares(broker, ME, ControlRecord(1, 6)) == 0


@pytest.mark.parametrize(("summed", "kept_days"), [(True, {TODAY}), (False, set())])
async def test_rows_that_sums_do_not_look_after_go(fresh_topics, summed, kept_days):
    """The client came back today; of the other days, one is past the sums' and one was left alone by a refold."""
    broker = await fresh_topics(partitions=3, shards=SHARDS, client_table=True)
    await put_share(broker, TODAY, "client", ME, offset=7)
    await put_share(broker, OLD, "video", ME, offset=7)
    await put(broker, PARTIALS, 0, b"_refold", b"{}")
    for dt in (TODAY, OLD, OLDER):
        for client in (ME, "another"):
            row = encode_row(row_of(CLIENT, dt, client, [1, 0, 0, 0], None), 1)
            key = daily_key(dt, "client", client)
            await put(broker, CLIENT.topic, shard_of(dt, "client", client, SHARDS), key, row)

    buried, kept = await bury_old_rows(broker, ME, summed=summed)

    left = await keys_of(broker, CLIENT.topic)
    assert (3 - len(kept_days), kept_days) == (buried, kept)
    assert {daily_key(dt, "client", ME) for dt in kept_days} == {key for key in left if ME.encode() in key}
    assert len([key for key in left if b"another" in key]) == 3


async def test_without_a_client_table_there_is_nothing_to_bury(fresh_topics):
    broker = await fresh_topics()

    assert (0, set()) == await bury_old_rows(broker, ME, summed=False)
    assert await last_values(broker, CLIENT.topic) == {}
    assert await last_values(broker, VIDEO.topic) != {}
