"""`kill -9` of each child in turn under load: the supervisor brings it back, and no event is lost or double."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from tests import oracle, proof
from tests.stacks import Stack, StackFactory

ROUNDS = 2
#: Between the return of a child and the next kill, seconds: enough to have work in flight again.
PAUSE_S = 1.0
BACK_WITHIN_S = 60.0
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
            states = {child["name"]: child["state"] for child in self._stack.status().get("children", [])}
            if self._stack.pids.get(name) not in {None, pid} and set(states.values()) == {"ready"}:
                self.kills.append((name, time.monotonic() - began))
                return
            if time.monotonic() - began > BACK_WITHIN_S:
                raise TimeoutError(f"{name} is not back after {BACK_WITHIN_S} s: {states}")


@pytest.mark.timeout(600)
def test_every_child_is_killed_twice_and_nothing_is_lost_or_double(stack: StackFactory) -> None:
    running = stack("--workers", "3", "--refresh-s", "1")
    killer = Killer(running)
    thread = threading.Thread(target=killer.run)
    outcome: dict[str, object] = {}

    def load() -> None:
        # Ends by itself some seconds after the last kill: see --seconds below.
        outcome["load"] = proof.post(
            running,
            *("--rate", "800", "--seconds", "100", "--clients", "150", "--batch", "20"),
            *("--repeat", "0.05", "--deadline", str(DEADLINE_S)),
            timeout_s=300,
        )

    loading = threading.Thread(target=load)
    loading.start()
    time.sleep(2)
    thread.start()
    thread.join()
    loading.join()
    assert killer.error is None, (killer.error, running.logs())
    facts, acknowledged = outcome["load"]  # type: ignore[misc]

    expected = oracle.fold(acknowledged)
    proof.reconcile_all(running, expected.days, wait_s=90)
    rows = proof.lake_rows(running)
    lost, double = proof.lost_and_double(expected, rows)
    back = sorted(seconds for _, seconds in killer.kills)
    print(
        f"seed={facts['seed']} events={facts['events']} posts={facts['posts']} kills={len(killer.kills)} "
        f"lost={lost} double={double} back p50={back[len(back) // 2]:.1f} s max={back[-1]:.1f} s "
        f"failed_tries={facts['failed_tries']} unclear={facts['unclear_tries']}"
    )
    assert len(killer.kills) >= 12
    assert (lost, double) == (0, 0)
    assert proof.differences(expected, rows) == []
    assert proof.differences(expected, asyncio.run(proof.topic_rows(running))) == []
