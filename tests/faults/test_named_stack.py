"""Troubles with a name that take a whole stack: what a person types, and what the files say afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import oracle, proof
from tests.faults.loads import load
from tests.stacks import StackFactory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
#: How long the lake is away: several of its time-outs, and far more than a refresh.
AWAY_S = 45.0


def acknowledged_kib(acknowledged: Path, kib: int) -> None:
    """Return when so much has been acknowledged."""
    while acknowledged.stat().st_size < kib * 1_024:
        time.sleep(0.1)


def test_reconcile_never_finds_drift_that_is_none_while_events_keep_coming(stack: StackFactory) -> None:
    """It agrees, or says that it has not settled: a day that is still being written is no day that is wrong."""
    running = stack()
    with load(running, 1) as acknowledged:
        acknowledged_kib(acknowledged, 500)  # enough events that there is something to disagree about
        for _ in range(3):
            finding = proof.reconcile(running, oracle.day_and_hour(time.time_ns() // 1_000_000)[0], wait_s=15)
            print("under load:", finding["exit"], finding.get("error", f"drift={finding.get('drift')}"))
            assert finding["exit"] in {0, 2}, finding
    proof.assert_right(running, acknowledged)


def test_the_refold_command_gives_the_same_files_and_takes_events_meanwhile(stack: StackFactory) -> None:
    running = stack("--workers", "2", "--shards", "2")
    with load(running, 2) as acknowledged:
        acknowledged_kib(acknowledged, 500)  # a history to fold again
        said = running.watchtime("refold", "--yes").stderr
        assert "generation 1" in said
    proof.assert_right(running, acknowledged)


def test_the_lake_is_away_and_comes_back(stack: StackFactory) -> None:
    running = stack()
    with load(running, 3) as acknowledged:
        acknowledged_kib(acknowledged, 300)  # files to be behind
        running.down("s3")
        time.sleep(AWAY_S)
        running.watchtime("up", "--detach", "s3")
    proof.assert_right(running, acknowledged)


def test_sinks_that_were_down_write_what_happened_meanwhile(stack: StackFactory) -> None:
    running = stack()
    running.down("sinks")
    with load(running, 4) as acknowledged:
        acknowledged_kib(acknowledged, 1_000)  # viewers begin up to thirty hours ago: events of three days
    running.watchtime("up", "--detach", "sinks")
    proof.assert_right(running, acknowledged)
