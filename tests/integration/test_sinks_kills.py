"""`python -m sinks` killed, stopped, doubled, and without what it stands on: nothing is lost or double."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from sinks.bucket import BucketStore
from sinks.folder import FolderStore
from streams.contract.days import dt_of_ms
from streams.contract.rows import INGEST, VIDEO
from streams.provision import provision
from tests.clock import now_ms
from tests.integration.sinks_processes import has_watch_ms, processes_fixture, watch_ms  # noqa: F401 - the fixture
from tests.sinks_stage import file_rows, line, publisher, raw_lines, until


async def test_kills_lose_and_double_nothing(fresh_topics, group_prefix, tmp_path, processes):
    """Two workers in a folder lake; one of them is killed again and again while rows and events keep coming."""
    broker = await fresh_topics(partitions=3, shards=2)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    round_no = kills = 0
    sent = {p: [] for p in range(3)}
    names = ["one", "two"]
    held = {name: await processes(broker, group_prefix, SINKS_INSTANCE=name) for name in names}
    async with publisher(broker, shards=2) as publish:
        while kills < 6:
            round_no += 1
            await publish.row(INGEST, dt, "", [round_no, 0, 0, 0, 0, 0, 0])
            for video in range(10):
                await publish.row(VIDEO, dt, f"v{video}", [round_no, 0, 0, 0], channel="c")
            for p, lines in sent.items():
                lines.append(line(round_no, now_ms()))
                await publish.events(p, lines[-1:])
            await asyncio.sleep(0.1)
            name = names[kills % 2]
            # One that has not begun yet would have nothing to lose.
            if round_no % 6 == 0 and await held[name].has_said("ready"):
                held[name].send(signal.SIGKILL)
                assert await held[name].ended() == -signal.SIGKILL
                held[name] = await processes(broker, group_prefix, SINKS_INSTANCE=name)
                kills += 1

    async def complete():
        rows = await file_rows(store, VIDEO, dt)
        return (
            {row["watch_ms"] for row in rows.values()} == {round_no}
            and len(rows) == 10
            and (await file_rows(store, INGEST, dt))[""]["total_events"] == round_no
            and {p: await raw_lines(store, p) for p in sent} == sent
        )

    print(f"\n{round_no} rounds: whole again after {await until(complete, 'all is in the lake'):.1f} s")
    for process in held.values():
        assert process.process.returncode is None, process.said()[-1]


async def test_a_killed_worker_with_a_name_is_back_without_waiting_for_its_session(
    fresh_topics, group_prefix, tmp_path, processes
):
    broker = await fresh_topics(partitions=1)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    variables = {"SINKS_INSTANCE": "only", "SINKS_SESSION_TIMEOUT_MS": "60000"}
    async with publisher(broker) as publish:
        process = await processes(broker, group_prefix, **variables)
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await until(lambda: has_watch_ms(store, dt, 1), "the row is in its file")
        process.send(signal.SIGKILL)
        await process.ended()
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])
        await processes(broker, group_prefix, **variables)
        took = await until(lambda: has_watch_ms(store, dt, 2), "the new row is in its file")

    print(f"\nback after {took:.1f} s")
    assert took < 30


async def test_of_two_workers_with_one_name_the_older_ends(fresh_topics, group_prefix, tmp_path, processes):
    broker = await fresh_topics(partitions=1)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    async with publisher(broker) as publish:
        older = await processes(broker, group_prefix, SINKS_INSTANCE="same")
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await until(lambda: has_watch_ms(store, dt, 1), "the older one works")
        newer = await processes(broker, group_prefix, SINKS_INSTANCE="same")

        assert await older.ended() == 70
        assert older.said()[-1]["level"] == "critical"
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])
        await until(lambda: has_watch_ms(store, dt, 2), "the newer one works")
    assert newer.process.returncode is None


async def test_a_worker_with_a_name_that_slept_longer_than_its_session_ends_and_may_be_started_again(
    fresh_topics, group_prefix, tmp_path, processes
):
    """The group knows it no more and, asked by its name, calls it fenced: it must not wait for partitions for ever."""
    broker = await fresh_topics(partitions=2)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    sleepers = [{"SINKS_INSTANCE": name, "SINKS_SESSION_TIMEOUT_MS": "2000"} for name in ("one", "two")]
    workers = [await processes(broker, group_prefix, **variables) for variables in sleepers]
    rows = 0
    async with publisher(broker) as publish:
        for worker, variables in zip(workers, sleepers, strict=True):
            await until(lambda: worker.has_said("ready"), "the worker holds its partitions")  # noqa: B023 - this turn's
            for signal_, seconds in ((signal.SIGSTOP, 5), (signal.SIGCONT, 1)):
                worker.send(signal_)
                until_s = time.monotonic() + seconds
                while time.monotonic() < until_s:
                    rows += 1
                    await publish.row(VIDEO, dt, "v", [rows, 0, 0, 0])
                    await publish.events(rows % 2, [line(rows, now_ms())])
                    await asyncio.sleep(0.05)

            assert await worker.ended() == 70
            assert "SINKS_INSTANCE" in worker.said()[-1]["why"]
            await processes(broker, group_prefix, **variables)
        await until(lambda: has_watch_ms(store, dt, rows), "those started again work")


async def test_a_worker_that_wakes_up_after_it_lost_its_partitions_does_no_harm(
    fresh_topics, group_prefix, tmp_path, processes
):
    """Each of two workers is stopped for longer than its session lasts, and goes on where it believes it was."""
    broker = await fresh_topics(partitions=2, shards=2)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    sent, last = {p: [] for p in range(2)}, 0
    workers = [await processes(broker, group_prefix, SINKS_SESSION_TIMEOUT_MS="2000") for _ in range(2)]
    async with publisher(broker, shards=2) as publish:

        async def load(seconds):
            nonlocal last
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                last += 1
                for video in range(10):
                    await publish.row(VIDEO, dt, f"v{video}", [last, 0, 0, 0])
                for p, lines in sent.items():
                    lines.append(line(last, now_ms()))
                    await publish.events(p, lines[-1:])
                await asyncio.sleep(0.1)

        while not all([await process.has_said("ready") for process in workers]):
            await load(0.5)
        for process in workers:
            process.send(signal.SIGSTOP)
            await load(3)
            process.send(signal.SIGCONT)
            await load(2)

    async def complete():
        rows = await file_rows(store, VIDEO, dt)
        lines = {p: await raw_lines(store, p) for p in sent}
        return {row["watch_ms"] for row in rows.values()} == {last} and len(rows) == 10 and lines == sent

    await until(complete, "the lake is whole")
    assert [process.process.returncode for process in workers] == [None, None]


@pytest.mark.slow
async def test_the_broker_and_the_lake_may_die_and_come_back(fresh_broker, fresh_s3, group_prefix, processes, aws):
    """Whether the worker outlives the broker is its own affair; the supervisor's part is played by the test."""
    broker, s3 = await fresh_broker(), await fresh_s3()
    await provision(broker.bootstrap_servers, 1, 1, replication=1, client_table=False)
    s3.make_bucket("lake")
    variables = {"SINKS_LAKE": "s3://lake", "SINKS_S3_ENDPOINT": s3.endpoint, "SINKS_INSTANCE": "w", **aws(s3.keys)}
    store, dt, sent = BucketStore("lake", endpoint=s3.endpoint), dt_of_ms(now_ms()), []
    process, starts = await processes(broker.bootstrap_servers, group_prefix, **variables), 1

    async def put(watch_ms):
        async with publisher(broker.bootstrap_servers) as publish:
            await publish.row(VIDEO, dt, "v", [watch_ms, 0, 0, 0])
            sent.append(line(watch_ms, now_ms()))
            await publish.events(0, sent[-1:])

    async def whole(expected):
        nonlocal process, starts
        if process.process.returncode is not None:
            process, starts = await processes(broker.bootstrap_servers, group_prefix, **variables), starts + 1
        return await watch_ms(store, dt) == expected and await raw_lines(store, 0) == sent

    await put(1)
    await until(lambda: whole(1), "the first row is in the lake")
    s3.kill()
    await put(2)
    await until(lambda: process.has_said("the lake does not answer; trying again"), "the worker misses S3")
    await s3.start()
    print(f"\nS3 back: {await until(lambda: whole(2), 'the second row is in the lake'):.1f} s")
    broker.kill()
    await broker.start()
    await put(3)
    took = await until(lambda: whole(3), "the third row is in the lake", within_s=60)
    print(f"broker back: {took:.1f} s, {starts} starts of the worker")
