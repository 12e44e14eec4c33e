"""Failpoints do what WATCHTIME_FAILPOINT says, once, and nothing without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from streams import failpoints


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


async def test_nothing_happens_unless_a_place_is_named():
    failpoints.arm({})
    await failpoints.reach("before-state")
    failpoints.arm({failpoints.VARIABLE: "before-partials:1=raise"})
    await failpoints.reach("before-state")


async def test_a_place_counts_and_acts_once():
    failpoints.arm({failpoints.VARIABLE: "before-state:2=raise"})
    await failpoints.reach("before-state")
    with pytest.raises(failpoints.FailpointError, match="before-state"):
        await failpoints.reach("before-state")
    await failpoints.reach("before-state")


def test_without_an_action_the_process_ends_as_by_kill():
    program = (
        "import asyncio; from streams import failpoints; "
        "failpoints.arm({'WATCHTIME_FAILPOINT': 'in-restore:1'}); asyncio.run(failpoints.reach('in-restore'))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)  # noqa: S603 - our own program

    assert done.returncode == failpoints.KILLED


@pytest.mark.parametrize("text", ["before-state", "before-state:0", "before-state:1=explode"])
def test_what_cannot_be_read_is_refused(text: str):
    with pytest.raises(failpoints.FailpointError, match="before-state"):
        failpoints.arm({failpoints.VARIABLE: text})
