"""`kill -9` of each child in waves under load: the supervisor brings them back, and no event is lost or double."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time

import pytest

from deploy.load import is_whole
from deploy.local import control
from deploy.open_loop import Plan
from tests import oracle, proof
from tests.faults.loads import posting
from tests.stacks import Stack, StackFactory

#: Who is killed at once. Each child at least once, those that hold unwritten work more often.
WAVES = (
    ("streams-0", "gateway-0"),
    ("streams-1", "sinks-0"),
    ("kafka",),
    ("streams-2", "s3"),
    ("streams-0", "streams-1", "streams-2"),
    ("sinks-0", "gateway-0", "s3"),
)
#: Events a second.
RATE = 300
#: Between the return of all and the next wave, seconds: enough to have work in flight again.
PAUSE_S = 0.5
BACK_WITHIN_S = 60.0
POLL_S = 0.1
#: The longest that a client repeats a POST; strays are posted only when it fits into the hour.
DEADLINE_S = 80


class Killer:
    """Kills the waves one after the other while the load runs."""

    def __init__(self, stack: Stack) -> None:
        self.kills = 0
        #: Seconds from each wave to the moment when every child is ready again.
        self.back_s: list[float] = []
        self.error: BaseException | None = None
        self._stack = stack

    def run(self) -> None:
        try:
            for wave in WAVES:
                self._kill(wave)
                time.sleep(PAUSE_S)
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.error = error

    def _kill(self, wave: tuple[str, ...]) -> None:
        began = time.monotonic()
        # One that ended by itself, as a worker does whose broker was killed, is on its way back.
        while set(wave) - set(pids := self._stack.pids):
            assert time.monotonic() - began < BACK_WITHIN_S
            time.sleep(POLL_S)
        before = {name: pids[name] for name in wave}
        began = time.monotonic()
        for pid in before.values():
            # A worker whose broker has just been killed may be gone already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills += len(wave)
        while True:
            *_, answer = control.ask(self._stack.data_dir, "describe")
            children = {child["name"]: child for child in answer["children"]}
            replaced = all(children[name]["pid"] not in {None, pid} for name, pid in before.items())
            if replaced and all(child["state"] == "ready" for child in children.values()):
                self.back_s.append(time.monotonic() - began)
                return
            if time.monotonic() - began > BACK_WITHIN_S:
                raise TimeoutError(f"{wave} are not back after {BACK_WITHIN_S} s: {children}")
            time.sleep(POLL_S)


@pytest.mark.timeout(600)
def test_children_are_killed_in_waves_and_nothing_is_lost_or_double(stack: StackFactory) -> None:
    running = stack("--workers", "3", "--refresh-s", "1")
    seed = random.SystemRandom().randrange(2**32)
    plan = Plan(
        url=f"{running.gateway}/ingest",
        clients=80,
        rate=RATE,
        seconds=600,
        batch=20,
        repeat=0.05,
        seed=seed,
        deadline_s=DEADLINE_S,
    )
    acknowledged = running.data_dir / "acknowledged.ndjson"
    killer = Killer(running)
    with posting(plan, acknowledged) as tally:
        killer.run()
    assert killer.error is None, (killer.error, running.logs())
    assert is_whole(tally), tally.refusals

    expected = oracle.fold(acknowledged)
    # Every day is held against the oracle; this one waits until files, topics and archive have settled.
    proof.reconcile_all(running, expected.days[-1:], wait_s=90)
    rows = proof.lake_rows(running)
    lost, double = proof.lost_and_double(expected, rows)
    back = sorted(killer.back_s)
    print(
        f"seed={seed} events={tally.events} posts={tally.posts} kills={killer.kills} lost={lost} double={double} "
        f"all ready again: p50={back[len(back) // 2]:.1f} s max={back[-1]:.1f} s "
        f"failed_tries={tally.failed_tries} unclear={tally.unclear_tries}"
    )
    assert killer.kills >= 12
    assert tally.events == expected.events
    assert (lost, double) == (0, 0)
    assert proof.differences(expected, rows) == []
    assert proof.differences(expected, asyncio.run(proof.topic_rows(running))) == []
