"""The nightly reconciliation: when it runs, as whom, and what it says."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import night_task
from tests.unit.cloud.account import whole
from tests.unit.cloud.policies import may


def test_the_night_runs_as_the_operator_and_its_alarms_look_for_what_it_says() -> None:
    night = whole(NightlyDays="3").child("Night")
    target = night.resource("Schedule")["Target"]
    (override,) = json.loads(target["Input"])["containerOverrides"]
    role = night.resource("ScheduleRole")

    assert override["name"] == "operator"
    assert override["command"] == ["python", "-P", "-m", night_task.__name__, "--days", "3"]
    assert target["EcsParameters"]["TaskDefinitionArn"] == "<OperatorTask>"
    assert may(role, "ecs:RunTask", "<OperatorTask>")
    assert may(role, "iam:PassRole", "<OperatorRole.Arn>")
    assert not may(role, "iam:PassRole", "<SinksRole.Arn>")
    assert not may(role, "ecs:StopTask", "<OperatorTask>")
    filters = night.of_type("AWS::Logs::MetricFilter")
    said = {name: re.findall(r'\$\.event = "([^"]+)"', one["FilterPattern"]) for name, one in filters.items()}
    assert set(said["Nights"]) == set(night_task.WORDS.values())
    assert said["Drift"] == [night_task.WORDS[1]]
    assert night_task.WORDS[2] in said["Untold"]


@pytest.mark.parametrize(
    ("at", "count", "range_"),
    [
        ("2026-11-24T00:30:00+00:00", 1, ("2026-11-23", "2026-11-23")),
        ("2026-03-01T23:59:59+00:00", 3, ("2026-02-26", "2026-02-28")),
    ],
)
def test_a_night_looks_at_days_that_are_over(at: str, count: int, range_: tuple[str, str]) -> None:
    assert night_task.days(datetime.datetime.fromisoformat(at).timestamp(), count) == range_


def test_a_night_says_in_one_line_what_came_of_it(tmp_path: Path) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SINKS_LAKE": tmp_path.as_uri()}
    command = [sys.executable, "-m", "deploy.night_task"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=tmp_path)  # noqa: S603 - our own module

    assert done.returncode == 2
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["level"], last["exit_code"]) == ("the days cannot be told", "error", 2)
