"""A process killed at each place that the code names, once: what it left undone is done by the next one, and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.folder import FolderStore
from streams.contract.days import dt_of_ms
from streams.contract.rows import VIDEO
from streams.failpoints import KILLED
from tests.clock import now_ms
from tests.faults.chaos import SINK_PLACES, STREAM_PLACES
from tests.integration.sinks_processes import processes_fixture, watch_ms  # noqa: F401 - the fixture
from tests.integration.stream_workers import ALONE, Worker, assert_rows, feed, settled, workers
from tests.servers import FreshTopics
from tests.sinks_stage import line, publisher, raw_lines, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("place", STREAM_PLACES)
async def test_a_stream_worker_killed_at_a_place_changes_no_row(
    fresh_topics: FreshTopics, group_prefix: str, tmp_path: Path, place: str
) -> None:
    server = await fresh_topics()
    async with workers(tmp_path / "before", server, group_prefix, ALONE):
        await feed(server, 60, seed=1)
        await settled(server, group_prefix)

    # The first two revocations are those of nothing, when its two consumers join.
    times = 3 if place == "in-revocation" else 1
    killed = Worker(server, group_prefix, tmp_path / "killed.log", **ALONE, failpoint=f"{place}:{times}")
    await feed(server, 60, seed=2)
    if place == "in-revocation":
        # Somebody who wants a share of the partitions.
        await killed.ready()
        other = Worker(server, group_prefix, tmp_path / "other.log", instance="other")
        await killed.ended()
        other.kill()
    code, log = await killed.ended()
    assert code == KILLED, log[-2_000:]

    async with workers(tmp_path / "after", server, group_prefix, ALONE):
        await feed(server, 60, seed=3)
        await assert_rows(server, group_prefix)


@pytest.mark.parametrize("place", SINK_PLACES)
async def test_a_sink_killed_at_a_place_leaves_whole_files(fresh_topics, group_prefix, tmp_path, processes, place):
    broker = await fresh_topics(partitions=1)
    store, dt = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms())
    lines = []
    async with publisher(broker) as publish:

        async def more(count: int) -> None:
            await publish.row(VIDEO, dt, "v", [count, 0, 0, 0])
            lines.append(line(count, now_ms()))
            await publish.events(0, lines[-1:])

        async def all_of_it() -> bool:
            return await watch_ms(store, dt) == len(lines) and await raw_lines(store, 0) == lines

        await more(1)
        killed = await processes(broker, group_prefix, SINKS_INSTANCE="only", WATCHTIME_FAILPOINT=f"{place}:1")
        assert await killed.ended() == KILLED
        await more(2)
        await processes(broker, group_prefix, SINKS_INSTANCE="only")
        await until(all_of_it, "all is in the lake")
        await more(3)
        await until(all_of_it, "what came later, too")
