"""`kill -9` of each child in turn under load: the supervisor brings it back, and no event is lost or double."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time

import pytest

from deploy.load import is_whole
from deploy.local import control
from deploy.open_loop import OpenLoop, Plan
from tests import oracle, proof
from tests.stacks import Stack, StackFactory

ROUNDS = 2
#: Events a second.
RATE = 600
#: Between the return of a child and the next kill, seconds: enough to have work in flight again.
PAUSE_S = 1.0
BACK_WITHIN_S = 60.0
POLL_S = 0.1
#: The longest that a client repeats a POST; strays are posted only when it fits into the hour.
DEADLINE_S = 80


class Killer:
    """Kills children one after the other while the load runs."""

    def __init__(self, stack: Stack) -> None:
        self.kills: list[tuple[str, float]] = []
        self.error: BaseException | None = None
        self._stack = stack

    def run(self) -> None:
        try:
            victims = [name for name in self._stack.pids if name != "supervisor"]
            for name in victims * ROUNDS:
                self._kill(name)
                time.sleep(PAUSE_S)
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def _kill(self, name: str) -> None:
        pid = self._stack.pids[name]
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while True:
            *_, answer = control.ask(self._stack.data_dir, "describe")
            states = {child["name"]: child["state"] for child in answer["children"]}
            if self._stack.pids.get(name) not in {None, pid} and set(states.values()) == {"ready"}:
                self.kills.append((name, time.monotonic() - began))
                return
            if time.monotonic() - began > BACK_WITHIN_S:
                raise TimeoutError(f"{name} is not back after {BACK_WITHIN_S} s: {states}")
            time.sleep(POLL_S)


@pytest.mark.timeout(600)
def test_every_child_is_killed_twice_and_nothing_is_lost_or_double(stack: StackFactory) -> None:
    running = stack("--workers", "3", "--refresh-s", "1")
    seed = random.SystemRandom().randrange(2**32)
    plan = Plan(
        url=f"{running.gateway}/ingest",
        clients=150,
        rate=RATE,
        seconds=600,
        batch=20,
        repeat=0.05,
        seed=seed,
        deadline_s=DEADLINE_S,
    )
    acknowledged = running.data_dir / "acknowledged.ndjson"
    killer = Killer(running)
    with acknowledged.open("wb") as file:
        loop = OpenLoop(plan, file.write)
        loading = threading.Thread(target=asyncio.run, args=(loop.run(),))
        loading.start()
        killer.run()
        loop.stop()
        loading.join()
    tally = loop.tally
    assert killer.error is None, (killer.error, running.logs())
    assert is_whole(tally), tally.refusals

    expected = oracle.fold(acknowledged)
    # Every day is held against the oracle; these two hold nearly all events.
    proof.reconcile_all(running, expected.days[-2:], wait_s=90)
    rows = proof.lake_rows(running)
    lost, double = proof.lost_and_double(expected, rows)
    back = sorted(seconds for _, seconds in killer.kills)
    print(
        f"seed={seed} events={tally.events} posts={tally.posts} kills={len(killer.kills)} lost={lost} double={double} "
        f"all ready again: p50={back[len(back) // 2]:.1f} s max={back[-1]:.1f} s "
        f"failed_tries={tally.failed_tries} unclear={tally.unclear_tries}"
    )
    assert len(killer.kills) >= 12
    assert tally.events == expected.events
    assert (lost, double) == (0, 0)
    assert proof.differences(expected, rows) == []
    assert proof.differences(expected, asyncio.run(proof.topic_rows(running))) == []
