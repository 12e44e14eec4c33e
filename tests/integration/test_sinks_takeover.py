"""Partitions change hands, two hold the same files, the lake fails now and then: the lake is right all the same."""

from __future__ import annotations

import asyncio
import contextlib
import random

from sinks import metrics
from sinks.bucket import BucketStore
from sinks.store import MemoryStore, PreconditionFailed, StoreUnavailable
from streams.contract.rows import INGEST, VIDEO
from tests.bad_stores import FailTimes, UnreliableStore
from tests.clock import now_ms, today
from tests.sinks_stage import (
    WAIT_S,
    Worker,
    file_rows,
    line,
    publish_day,
    publisher,
    raw_lines,
    settings,
    settled,
    until,
    worker,
)

#: An outage is longer than a session.
SESSION_MS, OUTAGE_S = 2_000, 3.0


async def test_partitions_move_between_workers_without_loss(fresh_topics, group_prefix):
    """Workers come and go (one is killed) while rows and events keep coming."""
    broker = await fresh_topics(partitions=4, shards=4)
    store = MemoryStore()
    dt = today()
    sent = {p: [] for p in range(4)}
    async with publisher(broker, shards=4) as publish:
        stop = asyncio.Event()
        last = 0

        async def load():
            nonlocal last
            while not stop.is_set():
                last += 1
                await publish_day(publish, dt, scale=last)
                for p, lines in sent.items():
                    lines.append(line(last * 10 + p, now_ms()))
                    await publish.events(p, lines[-1:])

        chosen = settings(broker, group_prefix)
        loading = asyncio.create_task(load())
        one = Worker(chosen, store)
        await until(lambda: _any(store), "the first worker writes")
        async with _rebalance(4):
            two, three = Worker(chosen, store), Worker(chosen, store)
        async with _rebalance(4):
            await one.stop()
        async with _rebalance(4):
            await two.kill()
            four = Worker(chosen, store)
        stop.set()
        await loading
        await settled(broker, group_prefix, partitions=4, shards=4)
        await three.stop()
        await four.stop()

    rows = await file_rows(store, VIDEO, dt)
    assert {row["views"] for row in rows.values()} == {last}
    assert len(rows) == 20
    assert (await file_rows(store, INGEST, dt))[""]["total_events"] == 100 * last
    assert {p: await raw_lines(store, p) for p in sent} == sent


async def _any(store):
    return len(await store.keys("")) > 3


@contextlib.asynccontextmanager
async def _rebalance(partitions):
    """Return only when all partitions of a topic have been taken anew, whoever has them now."""

    def taken():
        return metrics.RESTORES.labels(topic=VIDEO.topic)._value.get()

    before = taken()
    yield

    async def again():
        return taken() >= before + partitions

    await until(again, "the partitions have been taken anew")


async def test_two_copies_of_a_worker_race_for_the_same_files(fresh_topics, group_prefix):
    """Two groups on one lake: what a worker that does not know yet that it lost its partitions would do."""
    broker = await fresh_topics(partitions=2, shards=2)
    store = UnreliableStore(MemoryStore())
    dice = random.Random(7)
    scale = conflicts = 0

    async def dawdle(_):
        await asyncio.sleep(dice.random() * 0.05)

    store.before_put = dawdle
    put = store.inner.put

    async def counting(*args, **more):
        nonlocal conflicts
        try:
            return await put(*args, **more)
        except PreconditionFailed:
            conflicts += 1
            raise

    store.inner.put = counting
    dt = today()
    sent = {p: [] for p in range(2)}
    groups = [f"{group_prefix}-a", f"{group_prefix}-b"]
    async with publisher(broker, shards=2) as publish:
        copies = [Worker(settings(broker, group, refresh_s=0.05), store) for group in groups]
        # Until they did race: the second one may be late.
        async with asyncio.timeout(WAIT_S):
            while scale < 24 or conflicts <= 10:
                scale += 1
                await publish_day(publish, dt, scale=scale)
                for p, lines in sent.items():
                    lines.append(line(scale, now_ms()))
                    await publish.events(p, lines[-1:])
        for group in groups:
            await settled(broker, group, partitions=2, shards=2)
        for copy in copies:
            await copy.stop()

    assert {row["views"] for row in (await file_rows(store, VIDEO, dt)).values()} == {scale}
    assert {p: await raw_lines(store, p) for p in sent} == sent


async def test_a_lake_that_fails_now_and_then_costs_nothing(fresh_topics, group_prefix, s3, aws, monkeypatch):
    """Calls fail before they do anything, or after; now and then nothing works for longer than a session lasts."""
    aws(s3.keys)
    monkeypatch.setattr("sinks.patience.LONGEST_WAIT_S", 0.3)
    broker = await fresh_topics(partitions=2)
    store = UnreliableStore(BucketStore(s3.bucket(), endpoint=s3.endpoint))
    dice, outage = random.Random(3), False

    async def fail(key):
        if outage or dice.random() < 0.3:
            raise StoreUnavailable(f"503 for {key}")

    store.before_put = store.after_put = store.before_read = fail
    dt = today()
    sent, chosen = [], settings(broker, group_prefix, session_timeout_ms=SESSION_MS)
    async with publisher(broker) as publish, worker(chosen, store):
        for scale in range(1, 30):
            await publish_day(publish, dt, scale=scale)
            sent.append(line(scale, now_ms()))
            await publish.events(1, sent[-1:])
            if scale == 10:
                outage = True
                await asyncio.sleep(OUTAGE_S)
                outage = False
        await settled(broker, group_prefix, partitions=2)
        store.before_put = store.after_put = store.before_read = FailTimes(0)

    assert {row["views"] for row in (await file_rows(store, VIDEO, dt)).values()} == {29}
    assert await raw_lines(store, 1) == sent
