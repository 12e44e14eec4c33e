"""Stream workers on a real broker: their daily topics against the plain fold of the raw topic."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from streams.contract import topics
from tests.clock import now_ms
from tests.integration.stream_workers import (
    ALONE,
    READY_S,
    Worker,
    all_records,
    assert_rows,
    feed,
    group_offsets_exist,
    history,
    make_anew,
    published_rows,
    raw_records,
    reader,
    settled,
    until,
    workers,
)
from tests.servers import FreshTopics
from tests.unit.streams.plain_fold import plain_rows


@pytest.mark.parametrize(
    ("names", "shards", "rule", "client_table"),
    [(["only"], 1, "event", "off"), (["a", "b", "c"], 3, "local", "on"), (["", ""], 2, "received", "off")],
)
async def test_daily_topics_hold_what_the_plain_fold_counts(  # noqa: PLR0913, PLR0917
    fresh_topics: FreshTopics,
    group_prefix: str,
    tmp_path: Path,
    names: list[str],
    shards: int,
    rule: str,
    client_table: str,
) -> None:
    on = client_table == "on"
    server = await fresh_topics(shards=shards, client_table=on)
    how = {"shards": shards, "day": rule, "client_table": client_table}
    await feed(server, 300, seed=1)

    async with workers(tmp_path, server, group_prefix, *({**how, "instance": name} for name in names)):
        await feed(server, 300, seed=2)
        await assert_rows(server, group_prefix, rule, client_table=on)


@pytest.mark.slow
async def test_killed_workers_lose_nothing_and_count_nothing_twice(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics(shards=2)
    how = [{"shards": 2, "instance": "a"}, {"shards": 2, "instance": "b"}]
    async with workers(tmp_path, server, group_prefix, *how) as running:

        async def load(number: int) -> None:
            await asyncio.sleep(0.003)
            if number % 500 == 499:
                victim = running[number // 500 % 2]
                victim.kill()
                victim.restart()

        await feed(server, 2_500, pause=load)
        await asyncio.gather(*(worker.ready() for worker in running))
        await assert_rows(server, group_prefix)


async def test_a_worker_without_a_name_joins_and_leaves(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    over, seeds = asyncio.Event(), itertools.count(1)

    async def keep_feeding() -> None:
        while not over.is_set():
            await feed(server, 20, seed=next(seeds), pause=lambda _: asyncio.sleep(0.004))

    async def second_has_folded() -> bool:
        return await second.metric("watchtime_streams_records_total") > 0

    async with workers(tmp_path, server, group_prefix, {}) as [first]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_feeding())
            async with workers(tmp_path / "second", server, group_prefix, {}) as [second]:
                await until(second_has_folded, READY_S)
            over.set()
        await first.ready()
        await assert_rows(server, group_prefix)


async def test_a_clean_stop_and_start_goes_on_where_it_was(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    for seed in (1, 2):
        async with workers(tmp_path, server, group_prefix, ALONE) as [worker]:
            await feed(server, 100, seed=seed)
            await settled(server, group_prefix)
            assert await worker.metric("watchtime_streams_records_total") == 100
    assert await published_rows(server) == plain_rows(await raw_records(server))


async def test_a_line_that_is_no_event_goes_to_the_rejected_topic_and_the_others_of_its_record_count(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    event = {"event_type": "watch_tick", "event_ts": now_ms(), "tab_id": "t", "video_id": "v", "watch_ms_delta": 1_000}
    async with workers(tmp_path, server, group_prefix, ALONE) as [worker]:
        async with AIOKafkaProducer(bootstrap_servers=server, acks="all") as producer:
            await producer.send_and_wait(topics.EVENTS, b"no json\n%b\n[]\n" % json.dumps(event).encode(), key=b"c")
        await assert_rows(server, group_prefix)
        assert await worker.metric("watchtime_streams_invalid_lines_total") == 2
        async with reader(server) as consumer:
            told = [json.loads(record.value) for record in await all_records(consumer, topics.REJECTED)]

    assert [(one["event"], one["line"]) for one in told] == [("no json", 0), ("[]", 2)]


async def test_a_worker_without_work_writes_nothing_but_a_marker_an_hour(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    async with workers(tmp_path, server, group_prefix, ALONE) as [worker]:
        await group_offsets_exist(server, group_prefix, 4)
        await asyncio.sleep(1)

        # Of each partition the first marker, and the one with which a new owner begins its hour.
        assert await worker.metric('watchtime_streams_transactions_total{agent="watch.events"}') <= 8


#: A worker whose hours last half a second.
SHORT_HOURS = (
    "-c",
    "from streams import folding; folding._HOURLY_S = 0.5; from streams.__main__ import main; main()",
)


async def test_an_idle_partition_has_its_marker_written_again_each_hour(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    """Or else compaction by time would take the marker, and the next worker would take the state for lost."""
    server = await fresh_topics()
    worker = Worker(server, group_prefix, tmp_path / "worker.log", **ALONE, program=SHORT_HOURS)
    await worker.ready()

    async def markers() -> dict[int, int]:
        async with reader(server) as state:
            ends = await state.end_offsets([TopicPartition(topics.STATE, p) for p in range(4)])
        return {at.partition: end for at, end in ends.items()}

    before = await markers()

    async def all_written_twice() -> bool:
        # A marker and the end of its transaction.
        return all(end >= before[p] + 4 for p, end in (await markers()).items())

    await until(all_written_twice, 30)
    worker.kill()


async def test_another_day_rule_on_the_same_state_is_refused(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 20)

    code, log = await Worker(server, group_prefix, tmp_path / "other.log", **ALONE, day="local").ended()

    assert code not in (0, 1)
    assert "day_rule='event'" in log
    assert "watchtime refold" in log


async def test_lost_state_of_partitions_without_events_is_refused_too(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    async with workers(tmp_path, server, group_prefix, ALONE):
        await group_offsets_exist(server, group_prefix, 4)
    await make_anew(server, topics.STATE)

    code, log = await Worker(server, group_prefix, tmp_path / "after.log", **ALONE).ended()

    assert code != 0
    assert "its state was lost; `watchtime refold`" in log


async def test_a_first_marker_that_was_never_committed_is_no_lost_state(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    """A worker killed in its very first transaction leaves an aborted marker, and nothing else."""
    server = await fresh_topics(partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=server, transactional_id=f"{group_prefix}-0")
    async with producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topics.STATE, b"{}", key=b"_offset", partition=0)
        await producer.abort_transaction()

    for _ in range(2):
        async with workers(tmp_path, server, group_prefix, {**ALONE, "partitions": 1}):
            await group_offsets_exist(server, group_prefix, 1)
