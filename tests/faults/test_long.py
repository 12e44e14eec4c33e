"""Kills and other faults by the dozen on a stack with proxies between all parts; nothing may be lost or double.

WATCHTIME_FAULTS_KILLS (100) and WATCHTIME_FAULTS_SEED (drawn, printed) choose the run.
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
from sinks.reconcile_day import Stack
from sinks.reconcile_range import reconcile
from tests import oracle, proof
from tests.faults.chaos import Chaos
from tests.faults.loads import posted
from tests.faults.progress import Progress, settled
from tests.faults.world import World

#: Events a second; what counts is that all parts have work in flight.
RATE = 300.0
#: Longer than any series of faults keeps a POST waiting, shorter than what strays leave to a full hour.
DEADLINE_S = 85.0
SETTLE_S = 180.0


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_kills_cuts_and_refusals_lose_nothing_and_count_nothing_twice(
    cache: Cache,
    java: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    kills = int(os.environ.get("WATCHTIME_FAULTS_KILLS", "100"))
    seed = int(os.environ.get("WATCHTIME_FAULTS_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"seed={seed}")
    pick = random.Random(f"faults {seed}")
    world = World(tmp_path, cache, pick)
    await world.start(workers=pick.choice((2, 3)))
    plan = Plan(
        url=world.url,
        clients=150,
        rate=RATE,
        seconds=3_600,
        batch=20,
        repeat=0.05,
        seed=seed,
        deadline_s=DEADLINE_S,
    )
    progress = Progress(world.broker.bootstrap_servers)
    sampling = asyncio.create_task(progress.run())
    chaos = Chaos(world, progress, pick)
    acknowledged = tmp_path / "acknowledged.ndjson"
    try:
        async with posted(plan, acknowledged) as tally:
            await chaos.run(kills)
        assert is_whole(tally), tally
        await settled(world.broker.bootstrap_servers, SETTLE_S)
        expected = oracle.fold(acknowledged)
        rows = proof.rows_in(world.lake)
        lost, double = proof.lost_and_double(expected, rows)
        ordered = sorted(chaos.recovery_s)
        print(
            f"seed={seed} events={tally.events} posts={tally.posts + tally.repeated_posts} kills={chaos.kills} "
            f"lost={lost} double={double} recovery p50={percentile(ordered, 0.5)} s p99={percentile(ordered, 0.99)} s "
            f"of {len(ordered)} failed_tries={tally.failed_tries} unclear={tally.unclear_tries} "
            f"spoiled_puts={world.s3_proxy.spoiled}"
        )
        print("faults:", dict(sorted(chaos.done.items())))
        print("exit codes:", exit_codes(world))
        assert chaos.kills >= kills
        assert tally.unclear_tries > 0
        assert tally.events == expected.events
        assert (lost, double) == (0, 0)
        assert proof.differences(expected, rows) == []
        topic_rows = await proof.committed_rows(world.broker.bootstrap_servers, client_table=False)
        assert proof.differences(expected, topic_rows) == []
        finding = await reconcile(Stack.of(tmp_path, os.environ), expected.days[-1], 90.0, lambda _: None)
        assert finding.drift == 0, finding
    finally:
        sampling.cancel()
        codes = await world.stop()
    assert set(codes.values()) == {0}, (codes, world.logs())


def exit_codes(world: World) -> dict[str, dict[int, int]]:
    """Return how often the processes of each stage ended with which code."""
    counts: dict[str, dict[int, int]] = {}
    for _, _, stage, code in world.ends:
        codes = counts.setdefault(stage, {})
        codes[code] = codes.get(code, 0) + 1
    return counts
