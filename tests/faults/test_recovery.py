"""How soon the partitions of a killed worker are processed again, with nothing else wrong; over many kills.

WATCHTIME_RECOVERY_KILLS (40) says how many.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from deploy.load import is_whole, percentile
from deploy.local.cache import Cache
from deploy.open_loop import Plan
from tests import oracle, proof
from tests.faults.chaos import Chaos
from tests.faults.loads import posted
from tests.faults.progress import Progress, settled
from tests.faults.world import World

RATE = 300.0
#: The longest that partitions may stand still in one of a hundred cases, seconds.
P99_S = 10.0
SETTLE_S = 120.0
SEED = 5


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_partitions_of_a_killed_worker_go_on_within_ten_seconds(
    cache: Cache,
    java: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    kills = int(os.environ.get("WATCHTIME_RECOVERY_KILLS", "40"))
    pick = random.Random(SEED)
    world = World(tmp_path, cache, pick)
    await world.start(workers=2)
    progress = Progress(world.broker.bootstrap_servers)
    sampling = asyncio.create_task(progress.run())
    chaos = Chaos(world, progress, pick)
    acknowledged = tmp_path / "acknowledged.ndjson"
    plan = Plan(url=world.url, clients=150, rate=RATE, seconds=3_600, batch=20, repeat=0.05, seed=SEED)
    try:
        async with posted(plan, acknowledged) as tally:
            while len(chaos.recovery_s) < kills:
                await chaos.kill_worker_and_measure()
        await settled(world.broker.bootstrap_servers, SETTLE_S)
        lost, double = proof.lost_and_double(oracle.fold(acknowledged), proof.rows_in(world.lake))
    finally:
        sampling.cancel()
        await world.stop()
    ordered = sorted(chaos.recovery_s)
    print(
        f"kills={chaos.kills} events={tally.events} lost={lost} double={double} recovery "
        f"p50={percentile(ordered, 0.5)} s p99={percentile(ordered, 0.99)} s max={ordered[-1]:.2f} s of {len(ordered)}"
    )

    assert is_whole(tally), tally
    assert (lost, double) == (0, 0)
    assert ordered[int(0.99 * len(ordered))] <= P99_S
