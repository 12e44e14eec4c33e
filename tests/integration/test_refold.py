"""Refold: state lost, or wrong, and the raw topic folded again to what the plain fold counts."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from streams.contract import topics
from streams.provision import ProvisionError
from streams.refold import RefoldPlan, prepare_refold
from streams.restore import committed_reader, end_offset, read_compacted
from streams.settings import Settings
from streams.state_records import MARKER_KEY, Share, decode, encode, is_piece_key
from tests.integration.stream_workers import (
    ALONE,
    Worker,
    all_records,
    expire,
    feed,
    history,
    make_anew,
    published_rows,
    raw_records,
    reader,
    settled,
    workers,
)
from tests.servers import FreshTopics
from tests.unit.streams.plain_fold import plain_rows


async def refold(bootstrap_servers: str, group: str) -> RefoldPlan:
    """What `watchtime refold` does while no worker runs."""
    return await prepare_refold(Settings(bootstrap_servers=bootstrap_servers, group=group))


async def generations(bootstrap_servers: str) -> dict[tuple[str, bytes], int]:
    """Return the generation of the newest value of each row."""
    newest: dict[tuple[str, bytes], int] = {}
    async with reader(bootstrap_servers) as consumer:
        for table in topics.daily_tables(client_table=False):
            for record in await all_records(consumer, table.topic):
                newest[table.name, record.key] = int(dict(record.headers).get(topics.GENERATION_HEADER, b"0"))
    return newest


async def test_lost_state_is_refused_and_a_refold_brings_back_the_same_rows(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 300, seed=3)
    before = await published_rows(server)
    await make_anew(server, topics.STATE)
    code, log = await Worker(server, group_prefix, tmp_path / "refused.log", **ALONE).ended()
    assert code != 0
    assert "its state was lost; `watchtime refold`" in log

    command = [sys.executable, "-m", "deploy.cli", "refold", "--stopped", "--yes"]
    environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": server, "WATCHTIME_GROUP": group_prefix}
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said
    assert b"generation 1: " in said
    assert b", every day" in said
    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await settled(server, group_prefix)
        assert await published_rows(server) == before
        await feed(server, 100, seed=4)
        await settled(server, group_prefix)

    assert await published_rows(server) == plain_rows(await raw_records(server))


async def test_nothing_is_dropped_under_settings_that_do_not_fit_the_topics(
    fresh_topics: FreshTopics, group_prefix: str
) -> None:
    server = await fresh_topics()
    async with reader(server) as consumer:
        before = await consumer.topics()
        with pytest.raises(ProvisionError, match=r"watch.events has 4 partitions, expected 2"):
            await prepare_refold(Settings(bootstrap_servers=server, group=group_prefix, partitions=2))
        assert await consumer.topics() == before


async def test_a_marker_that_cannot_be_read_keeps_no_refold_away(fresh_topics: FreshTopics, group_prefix: str) -> None:
    """It is the way out of state of a newer release, and of state that is damaged."""
    server = await fresh_topics()
    async with AIOKafkaProducer(bootstrap_servers=server, acks="all") as producer:
        for p, value in enumerate([b'{"v":2,"offset":{},"generation":4}', b"damaged"]):
            await producer.send_and_wait(topics.STATE, value, MARKER_KEY, partition=p)

    plan = await refold(server, group_prefix)

    assert (plan.generation, plan.first_dt) == (5, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "go",
    [
        pytest.param(expire, id="expired"),
        pytest.param(lambda server: make_anew(server, topics.EVENTS), id="made anew"),
    ],
)
async def test_days_that_the_raw_topic_does_not_hold_whole_keep_their_rows(
    go: Callable[[str], Awaitable[None]], fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 60, seed=7)
    before = await published_rows(server)
    await go(server)

    first = await refold(server, group_prefix)
    assert first.first_dt > max(dt for _, dt, *_ in before)
    # As if it had been killed before it wrote a marker: what the old ones knew of the topic is not lost with them.
    await make_anew(server, topics.STATE, topics.PARTIALS)
    second = await refold(server, group_prefix)
    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await feed(server, 20, seed=8)
        await settled(server, group_prefix)
    third = await refold(server, group_prefix)

    assert first.first_dt == second.first_dt <= third.first_dt
    assert await published_rows(server) == before


async def spoil_state(bootstrap_servers: str) -> int:
    """Make every stored share wrong, as an error of an older release could have; return how many."""
    async with (
        committed_reader(bootstrap_servers) as consumer,
        AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer,
    ):
        spoiled = 0
        for p in range(4):
            state = TopicPartition(topics.STATE, p)
            stored = await read_compacted(consumer, state, await end_offset(consumer, state))
            for key, value in stored.items():
                if key == MARKER_KEY or is_piece_key(key):
                    continue
                share = decode(Share, value)
                wrong = encode(
                    Share(
                        **{
                            **{name: getattr(share, name) for name in share.__struct_fields__},
                            "counters": [count * 3 + 1 for count in share.counters],
                        }
                    )
                )
                await producer.send_and_wait(topics.STATE, wrong, key=key, partition=p)
                await producer.send_and_wait(topics.PARTIALS, wrong, key=key, partition=0)
                spoiled += 1
    return spoiled


async def test_state_that_is_wrong_is_folded_again_to_the_right_rows_though_they_are_lower(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 300, seed=5)
    right = await published_rows(server)
    assert await spoil_state(server) > 0
    async with workers(tmp_path / "wrong", server, group_prefix, ALONE):
        await settled(server, group_prefix)
        assert await published_rows(server) != right

    first, second = await refold(server, group_prefix), await refold(server, group_prefix)
    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await settled(server, group_prefix)
        assert await published_rows(server) == right

    # A refold that was begun and left alone is simply begun again.
    assert (first.generation, second.generation) == (1, 2)
    assert dataclasses.replace(second, generation=1) == first
    assert set((await generations(server)).values()) == {2}


async def test_a_refold_killed_half_way_through_the_folding_goes_on_and_shows_no_half_sums(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 400, seed=6)
    right = await published_rows(server)
    await refold(server, group_prefix)

    killed = Worker(server, group_prefix, tmp_path / "killed.log", **ALONE, failpoint="after-commit:3")
    code, _ = await killed.ended()
    assert code == 137
    assert await published_rows(server) == right
    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await settled(server, group_prefix)
        assert await published_rows(server) == right
