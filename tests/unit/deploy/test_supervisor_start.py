"""How long a start is waited for: a child that restores its state is given its time, and is spoken of meanwhile."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.local import supervisor
from deploy.local.keeper import Spec
from deploy.local.process import Program
from deploy.local.supervisor import StartError, Supervisor


def spec(folder: Path, name: str, ready_after_s: float, start_timeout_s: float) -> Spec:
    began = time.monotonic()

    async def ready() -> bool:
        return time.monotonic() - began > ready_after_s

    sleeps = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    program = Program(name=name, command=sleeps, log=folder / f"{name}.log")
    return Spec(stage=name, program=program, ready=ready, start_timeout_s=start_timeout_s)


async def told_by(specs: list[Spec]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    one = Supervisor(specs, lambda _: None)
    one.listen(told.append)
    try:
        await one.start(list(one.keepers.values()))
    finally:
        await one.stop(list(one.keepers.values()))
    return told


async def test_a_child_that_may_take_long_is_waited_for_and_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STILL_STARTING_S", 0.4)

    told = await told_by([spec(tmp_path, "kafka", 0.0, 3.0), spec(tmp_path, "streams-0", 3.5, 60.0)])

    assert "streams-0" in {one["name"] for one in told if "starting_s" in one}
    assert {one["name"] for one in told if one["state"] == "ready"} == {"kafka", "streams-0"}


async def test_one_that_is_late_by_its_own_limit_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"not ready after [0-9]+ s: kafka\n"):
        await told_by([spec(tmp_path, "kafka", 30.0, 3.0), spec(tmp_path, "streams-0", 0.0, 60.0)])
