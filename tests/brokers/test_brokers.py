"""Three brokers, of which one after the other is killed under load, and then two at once.

What was acknowledged is folded by the oracle, which shares no code with the project, and held against files and topics.
WATCHTIME_BROKERS_RATE (200 events a second) and WATCHTIME_BROKERS_SEED choose the run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.load import is_whole
from deploy.local.cache import Cache
from deploy.open_loop import OpenLoop, Plan
from tests import oracle, proof
from tests.brokers.cluster import SIZE, Cluster
from tests.faults.progress import settled
from tests.faults.world import GROUP
from tests.pipeline import Pipeline

PARTITIONS = 6
SHARDS = 2
#: Events that are acknowledged before and after each death.
BETWEEN = 1_000
#: Longer than any death keeps a POST waiting.
DEADLINE_S = 600.0
SETTLE_S = 180.0
#: Longer than the gateway waits for an acknowledgement.
SILENCE_S = 8.0
PROGRESS_S = 180.0


@pytest.fixture
async def cluster(cache: Cache, java: None, tmp_path: Path) -> AsyncIterator[Cluster]:  # noqa: ARG001
    brokers = Cluster(tmp_path / "kafka", cache)
    try:
        await brokers.start()
        yield brokers
    finally:
        brokers.stop()


class Acknowledged:
    """The file of acknowledged POSTs while it is written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.events = 0
        self._out = file.open("wb")

    def write(self, line: bytes) -> None:
        self._out.write(line)
        self.events += json.loads(line)["accepted"]

    def close(self) -> None:
        self._out.close()

    async def more(self, count: int) -> float:
        """Return when so many more events are acknowledged; the seconds until the first of them."""
        started, before = time.monotonic(), self.events
        first_s = 0.0
        while self.events < before + count:
            if self.events > before and not first_s:
                first_s = time.monotonic() - started
            assert time.monotonic() - started < PROGRESS_S, f"{self.events - before} events in {PROGRESS_S} s"
            await asyncio.sleep(0.05)
        return first_s


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_broker_killed_under_load_loses_nothing_and_doubles_nothing(cluster: Cluster, tmp_path: Path) -> None:
    seed = int(os.environ.get("WATCHTIME_BROKERS_SEED", "0")) or random.SystemRandom().randrange(2**32)
    rate = float(os.environ.get("WATCHTIME_BROKERS_RATE", "200"))
    pick = random.Random(f"brokers {seed}")
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
        "WATCHTIME_GROUP": GROUP,
        "STREAMS_PARTITIONS": str(PARTITIONS),
        "STREAMS_SHARDS": str(SHARDS),
        "STREAMS_REPLICATION": str(SIZE),
    }
    pipeline = Pipeline(tmp_path, lambda _: environ)
    await pipeline.watchtime("topics")
    await pipeline.start(workers=2, sinks=1)
    acknowledged = Acknowledged(tmp_path / "acknowledged.ndjson")
    url = f"{pipeline.url}/ingest"
    plan = Plan(
        url=url,
        clients=150,
        rate=rate,
        seconds=3_600,
        batch=20,
        repeat=0.05,
        seed=seed,
        deadline_s=DEADLINE_S,
        strays=False,
    )
    loop = OpenLoop(plan, acknowledged.write)
    loading = asyncio.create_task(loop.run())
    codes: dict[str, int | None] = {}
    try:
        await acknowledged.more(BETWEEN)
        pauses = [await one_dies(cluster, acknowledged, number) for number in pick.sample(range(SIZE), SIZE)]
        await two_die(cluster, acknowledged, pick.sample(range(SIZE), 2))
        loop.stop()
        tally = await loading
        acknowledged.close()
        assert is_whole(tally), tally
        await pipeline.ready()
        await settled(cluster.bootstrap_servers, SETTLE_S)
        expected = oracle.fold(acknowledged.file)
        rows = proof.rows_in(pipeline.lake)
        lost, double = proof.lost_and_double(expected, rows)
        print(
            f"seed={seed} events={tally.events} lost={lost} double={double} failed_tries={tally.failed_tries} "
            f"unclear={tally.unclear_tries} seconds from each death to the next acknowledgement: "
            f"{', '.join(f'{pause:.1f}' for pause in pauses)}; processes started again: {len(pipeline.ends)}"
        )
        assert tally.events == expected.events
        assert (lost, double) == (0, 0)
        assert proof.differences(expected, rows) == []
        topic_rows = await proof.committed_rows(cluster.bootstrap_servers, client_table=False)
        assert proof.differences(expected, topic_rows) == []
        for day in expected.days[-2:]:
            finding = json.loads(await pipeline.watchtime("reconcile", "--dt", day, "--wait", "120", "--json"))
            print(f"reconcile {day}: drift={finding['drift']} rows={finding['rows']}")
            assert finding["drift"] == 0
    finally:
        loading.cancel()
        await asyncio.wait([loading])
        codes = await pipeline.stop()
    assert set(codes.values()) == {0}, (codes, pipeline.logs())


async def one_dies(cluster: Cluster, acknowledged: Acknowledged, number: int) -> float:
    """Kill a broker, go on without it, and have it back with all its copies; the pause in acknowledgements."""
    cluster.brokers[number].kill()
    pause_s = await acknowledged.more(BETWEEN)
    await cluster.start_again([number])
    await cluster.in_sync()
    await acknowledged.more(BETWEEN)
    return pause_s


async def two_die(cluster: Cluster, acknowledged: Acknowledged, numbers: list[int]) -> None:
    """Kill two brokers: one copy alone acknowledges nothing, and when they are back it goes on."""
    for number in numbers:
        cluster.brokers[number].kill()
    # What was on its way when they died may still be answered.
    await asyncio.sleep(SILENCE_S)
    before = acknowledged.events
    await asyncio.sleep(SILENCE_S)
    assert acknowledged.events == before, "an event was acknowledged with one copy"
    await cluster.start_again(numbers)
    await cluster.in_sync()
    await acknowledged.more(BETWEEN)
