"""Troubles that have a name, each once: what the workers do, and that every row is right afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.contract import topics
from streams.contract.days import DAY_MS
from tests.clock import now_ms
from tests.integration.stream_workers import (
    ALONE,
    Worker,
    assert_rows,
    expire,
    feed,
    group_offsets_exist,
    history,
    make_anew,
    published_rows,
    raw_records,
    settled,
    until,
    workers,
)
from tests.servers import FreshTopics, delete_topics
from tests.unit.streams.plain_fold import plain_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SESSION_S = 6.0
PAIR = [{"instance": "a"}, {"instance": "b"}]
#: How late the rows of other partitions may be when a worker stops in the middle of a transaction.
LATE_S = 12.0


async def send(bootstrap_servers: str, *lines: dict[str, object], key: bytes = b"someone") -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        for event in lines:
            await producer.send_and_wait(topics.EVENTS, json.dumps(event).encode() + b"\n", key=key)


def tick(number: int, now_ms: int, **more: object) -> dict[str, object]:
    return {
        "event_id": str(number),
        "event_ts": now_ms,
        "event_type": "watch_tick",
        "tab_id": "1",
        "client_id": "someone",
        "video_id": "v",
        "channel_name": "c",
        "watch_ms_delta": 1_000,
        "received_at": now_ms,
        **more,
    }


async def asleep(worker: Worker) -> None:
    """Return when the worker has stopped itself."""

    async def stopped() -> bool:
        assert worker.child.exit_code() is None, worker.log.read_text()[-2_000:]
        return psutil.Process(worker.child.pid).status() == psutil.STATUS_STOPPED

    await until(stopped, 60)


@pytest.mark.parametrize("place", ["before-partials:1", "after-partials:1", "before-video_daily:1"])
async def test_killed_when_only_one_of_four_partitions_ever_had_a_record(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path, place: str
) -> None:
    """The other three have their first marker, and nothing else."""
    server = await fresh_topics()
    worker = Worker(server, group_prefix, tmp_path / "killed.log", **ALONE, failpoint=place)
    await worker.ready()
    await send(server, tick(1, now_ms()))
    code, _ = await worker.ended()
    assert code == 137

    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await group_offsets_exist(server, group_prefix, 4)
        await send(server, tick(1, now_ms()), tick(2, now_ms()))
        await assert_rows(server, group_prefix)


async def test_of_two_processes_with_one_name_one_ends_and_says_why(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    first = Worker(server, group_prefix, tmp_path / "first.log", **ALONE)
    await first.ready()
    await feed(server, 50, seed=1)
    async with workers(tmp_path / "second", server, group_prefix, ALONE):
        code, log = await first.ended()
        await feed(server, 50, seed=2)
        await assert_rows(server, group_prefix)

    assert code == 70
    # Whichever it learns first: that the group gave its name away, or that its transactions are refused.
    assert "took its place" in log or "Fenced" in log


async def test_a_worker_stopped_in_mid_transaction_holds_the_others_up_for_less_than_twelve_seconds(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    zombie = Worker(server, group_prefix, tmp_path / "a.log", **PAIR[0], failpoint="after-partials:3=stop")
    async with workers(tmp_path, server, group_prefix, PAIR[1]):
        await zombie.ready()
        stop_feeding = asyncio.Event()

        async def keep_feeding() -> None:
            seed = 0
            while not stop_feeding.is_set():
                seed += 1
                await feed(server, 20, seed=seed)
                await asyncio.sleep(0.3)

        feeding = asyncio.create_task(keep_feeding())
        await asleep(zombie)
        stopped_at = time.monotonic()
        stop_feeding.set()
        await feeding
        await settled(server, group_prefix)
        late_s = time.monotonic() - stopped_at
        psutil.Process(zombie.child.pid).send_signal(signal.SIGCONT)
        code, log = await zombie.ended()
        await assert_rows(server, group_prefix)

    print(f"all totals {late_s:.1f} s after a worker stopped in mid-transaction")
    assert late_s < LATE_S
    assert code == 70, log[-2_000:]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("in-assignment:1=raise", "taking partitions failed"),
        ("in-revocation:1=raise", "letting go of partitions failed"),
    ],
)
async def test_an_exception_in_the_rebalance_listener_ends_the_process(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path, place: str, said: str
) -> None:
    server = await fresh_topics()
    await feed(server, 100, seed=1)
    broken = Worker(server, group_prefix, tmp_path / "broken.log", **PAIR[0], failpoint=place)
    async with workers(tmp_path, server, group_prefix, PAIR[1]):
        code, log = await broken.ended()
        await feed(server, 100, seed=2)
        await assert_rows(server, group_prefix)

    assert code == 70
    assert said in log


async def test_a_restore_of_three_session_timeouts_keeps_its_worker_in_the_group(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 200)

    slow = Worker(
        server, group_prefix, tmp_path / "slow.log", **ALONE, failpoint=f"in-restore:1=wait{3 * SESSION_S:.0f}"
    )
    began = time.monotonic()
    await slow.ready()
    took_s = time.monotonic() - began
    await feed(server, 100, seed=2)
    await assert_rows(server, group_prefix)
    code = await asyncio.to_thread(slow.child.stop, 15.0)

    taken = [text for text in slow.log.read_text().splitlines() if '"partition taken"' in text]
    assert took_s > 3 * SESSION_S
    assert len(taken) == 4 + 1, "each partition of raw and partials is taken once: the group never gave them away"
    assert code == 0


async def test_a_partition_idle_for_longer_than_the_raw_topic_keeps_records_goes_on(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 200)
    before = await raw_records(server)
    await expire(server)
    assert await raw_records(server) == []

    async with workers(tmp_path / "again", server, group_prefix, ALONE):
        await feed(server, 50, seed=2)
        await settled(server, group_prefix)
        assert await published_rows(server) == plain_rows([*before, *await raw_records(server)])


async def test_records_deleted_before_they_were_folded_are_named_and_nothing_is_folded_past_them(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics(partitions=1)
    one = {**ALONE, "partitions": 1}
    await history(tmp_path, server, group_prefix, 30, partitions=1)
    await feed(server, 30, seed=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topics.EVENTS, 0): RecordsToDelete(before_offset=45)})
    finally:
        await admin.close()

    code, log = await Worker(server, group_prefix, tmp_path / "gap.log", **one).ended()

    assert code == 70
    assert "has to be folded from offset 30, but holds 45 to 60" in log
    assert "`watchtime refold`" in log


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"partitions": 8}, "topic watch.events has 4 partitions, expected 8"),
        ({"shards": 3}, "topic watch.partials has 1 partitions, expected 3"),
        ({"day": "received"}, "day_rule='event', this worker has 'received'"),
    ],
)
async def test_a_changed_setting_is_refused(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 20)

    code, log = await Worker(server, group_prefix, tmp_path / "changed.log", **ALONE, **changed).ended()

    assert code not in {0, 137}
    assert said in log


async def test_an_events_topic_made_anew_beside_old_state_is_refused(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    await history(tmp_path, server, group_prefix, 20)
    await make_anew(server, topics.EVENTS)

    code, log = await Worker(server, group_prefix, tmp_path / "anew.log", **ALONE).ended()

    assert code == 70
    assert "was folded with topic_id=" in log
    assert "`watchtime refold`" in log
    await delete_topics(server)


async def test_a_gateway_whose_clock_is_three_days_off_counts_at_the_broker_s_time(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path
) -> None:
    server = await fresh_topics()
    now = now_ms()
    async with workers(tmp_path, server, group_prefix, ALONE):
        # The gateway's stamp is not believed, the viewer's own time is; and one whose viewer is off as well.
        await send(server, tick(1, now, received_at=now + 3 * DAY_MS), tick(2, now, received_at=now - 3 * DAY_MS))
        await send(server, tick(3, now + 3 * DAY_MS, received_at=now + 3 * DAY_MS))
        await assert_rows(server, group_prefix)
        rows = await published_rows(server)

    ingest = [row for (table, *_), row in rows.items() if table == "ingest_daily"]
    assert [(row["total_events"], row["moved_events"]) for row in ingest] == [(3, 1)]
