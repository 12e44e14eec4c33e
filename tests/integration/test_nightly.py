"""The nightly reconciliation of a whole stack: its result, its alarm's metric, and that its failure hurts nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sinks.lake import lake_of
from streams.contract.days import dt_of_ms, shift_dt
from tests import proof
from tests.stacks import Stack, StackFactory
from tests.waiting import until

WITHIN_S = 90.0
#: Just after midnight the clock may say that nothing is over yet.
AT_ONCE = {"WATCHTIME_RECONCILE_AT": "00:00"}


def night(stack: Stack) -> dict[str, Any]:
    """Wait until a night was looked at; return what `watchtime status` says of it."""
    until(lambda: (stack.status()["reconcile"] or {}).get("at_s"), WITHIN_S, stack.logs)
    return dict(stack.status()["reconcile"])


def metric(stack: Stack, name: str) -> list[str]:
    """Return the samples of a metric of the supervisor."""
    url = stack.endpoints["stage_metrics"]["supervisor"]
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own supervisor
        return re.findall(rf"^{name}.*$", answer.read().decode(), flags=re.MULTILINE)


def remember(stack: Stack, through: str) -> None:
    """Let a stack remember that all was right up to a day."""
    stack.data_dir.mkdir(parents=True, exist_ok=True)
    (stack.data_dir / "reconcile.json").write_text(json.dumps({"right_through": through, "ran_to": through}))


async def spoil(stack: Stack, key: str) -> None:
    """Take a row out of a file and leave its metadata as they are: sinks take it for theirs."""
    store = lake_of(stack.data_dir, os.environ).store()
    found = await store.get(key)
    assert found is not None
    shorter = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(found.body)).slice(1), shorter)
    await store.put(key, shorter.getvalue(), found.stat.metadata, etag=found.stat.etag)


def test_days_that_are_over_are_reconciled_and_drift_shows_everywhere(stack: StackFactory, tmp_path: Path) -> None:
    yesterday = shift_dt(dt_of_ms(time.time_ns() // 1_000_000), -1)
    running = stack("--lake", (tmp_path / "lake").as_uri(), environ=AT_ONCE)
    proof.post(running, "--events", "600", "--rate", "600", "--clients", "30", "--batch", "20")
    proof.reconcile_all(running, [yesterday])
    assert metric(running, "watchtime_drift_rows{") == []
    running.down()

    asyncio.run(spoil(running, f"analytics/hour_daily/dt={yesterday}/data.parquet"))
    remember(running, shift_dt(yesterday, -2))
    running.up()
    found = night(running)

    assert found["exit_code"] == 1
    drift = found["drift"].pop(yesterday)
    assert (drift > 0, found["drift"]) == (True, {shift_dt(yesterday, -1): 0})
    assert metric(running, "watchtime_reconcile_exit_code ") == ["watchtime_reconcile_exit_code 1.0"]
    assert sorted(metric(running, "watchtime_drift_rows{")) == [
        f'watchtime_drift_rows{{dt="{shift_dt(yesterday, -1)}"}} 0.0',
        f'watchtime_drift_rows{{dt="{yesterday}"}} {float(drift)}',
    ]
    assert f"{yesterday} drift={drift}" in running.watchtime("status").stdout
    assert "nightly reconciliation ended" in (running.data_dir / "logs" / "supervisor.log").read_text()


def test_a_night_that_cannot_be_told_leaves_the_stack_as_it_is(stack: StackFactory) -> None:
    yesterday = shift_dt(dt_of_ms(time.time_ns() // 1_000_000), -1)
    running = stack(up=False, environ=AT_ONCE)
    remember(running, shift_dt(yesterday, -1))
    # Nobody is there to ask for the lake: only the broker runs.
    running.up("kafka")
    found = night(running)

    assert found["exit_code"] == 2
    assert found["drift"] == {yesterday: None}
    assert metric(running, "watchtime_drift_rows{") == []
    assert metric(running, "watchtime_reconcile_exit_code ") == ["watchtime_reconcile_exit_code 2.0"]
    assert {child["name"] for child in running.status()["children"] if child["state"] == "ready"} == {"kafka"}
