"""Decisions of the supervisor that need no processes."""

from __future__ import annotations

import pytest

from deploy.local.keeper import backoff_s
from deploy.local.probes import says_ready


@pytest.mark.parametrize(("failures", "pause_s"), [(0, 0.2), (1, 0.2), (2, 0.4), (3, 0.8), (6, 6.4), (7, 10), (99, 10)])
def test_the_pause_doubles_up_to_ten_seconds(failures: int, pause_s: float) -> None:
    assert backoff_s(failures) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("metrics", "ready"),
    [
        ('watchtime_ready{stage="streams"} 1.0\n', True),
        ('# HELP x\nwatchtime_ready{stage="streams"} 1\nother 2\n', True),
        ('watchtime_ready{stage="streams"} 0.0\n', False),
        ('watchtime_ready{stage="sinks"} 1.0\n', False),
        ("", False),
    ],
)
def test_a_stage_is_ready_when_its_own_gauge_says_one(metrics: str, ready: bool) -> None:  # noqa: FBT001
    assert says_ready(metrics, "streams") is ready
