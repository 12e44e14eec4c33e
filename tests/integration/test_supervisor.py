"""The supervisor over stand-in programs: restarts, clean stops, no orphans, stages by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from deploy import cli
from deploy.local import control, tenancy
from deploy.local.process import started_at
from tests.integration.standin_stacks import CHILDREN, Start, start_fixture  # noqa: F401 - the fixture


def test_children_are_ready_before_the_stack_is_and_each_comes_back_when_killed(start: Start) -> None:
    stack = start().await_ready()

    assert dict.fromkeys(CHILDREN, "ready") == stack.states()
    assert sorted(CHILDREN) == sorted(stack.pids)
    assert all(started_at(pid) for pid in stack.pids.values())
    order = [(m["name"], m["state"]) for m in stack.messages if "name" in m]
    assert order.index(("kafka", "ready")) < order.index(("streams-0", "starting"))
    assert order.index(("s3", "ready")) < order.index(("sinks-0", "starting"))
    [answer] = control.ask(stack.data_dir, "stop", ["stream"])
    assert answer == {"error": "there is no 'stream' in this stack; it has kafka, s3, gateway, streams, sinks"}

    for name in CHILDREN:
        before = stack.pids
        os.kill(before[name], signal.SIGKILL)
        stack.until(
            lambda name=name, pid=before[name]: stack.pids.get(name, pid) != pid and stack.states()[name] == "ready"
        )
        others = {other for other in CHILDREN if other != name}
        assert {other: before[other] for other in others} == {other: stack.pids[other] for other in others}
    log = (stack.data_dir / "logs" / "supervisor.log").read_text()
    assert log.count('"event": "child ended"') == log.count('"exit_code": -9') == len(CHILDREN)


def test_no_instance_runs_beside_the_one_before_it(start: Start) -> None:
    stack = start().await_ready()
    for _ in range(3):
        pid = stack.pids["streams-0"]
        os.kill(pid, signal.SIGKILL)
        stack.until(lambda pid=pid: stack.pids.get("streams-0", pid) != pid and stack.states()["streams-0"] == "ready")

    starts = (stack.data_dir / "streams-0.starts").read_text().splitlines()
    assert [line.split()[1] for line in starts] == ["alone"] * 4


def test_a_stage_waits_for_the_broker_to_come_back(start: Start) -> None:
    stack = start().await_ready()
    pids = stack.pids
    (stack.data_dir / "kafka.broken").touch()

    os.kill(pids["kafka"], signal.SIGKILL)
    stack.until(lambda: stack.states()["kafka"] == "waiting")
    os.kill(pids["streams-0"], signal.SIGKILL)
    os.kill(pids["gateway-0"], signal.SIGKILL)

    stack.until(lambda: stack.states()["gateway-0"] == "ready" and stack.pids["gateway-0"] != pids["gateway-0"])
    assert stack.states()["streams-0"] == "waiting"
    (stack.data_dir / "kafka.broken").unlink()
    stack.until(lambda: set(stack.states().values()) == {"ready"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_cleanly(start: Start, number: signal.Signals) -> None:
    stack = start().await_ready()
    pids = stack.pids
    began = time.monotonic()

    stack.process.send_signal(number)

    assert stack.wait() == 0
    assert time.monotonic() - began < 15
    assert not [name for name, pid in pids.items() if started_at(pid)]
    assert stack.pids == {}
    assert not tenancy.is_held(stack.data_dir)
    stopped = [m["name"] for m in stack.messages if m.get("state") == "stopped"]
    assert set(stopped[:3]) == {"gateway-0", "streams-0", "sinks-0"}


def test_a_child_that_does_not_stop_is_killed(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sinks-0.deaf").touch()
    stack = start().await_ready()
    pid = stack.pids["sinks-0"]

    stack.process.terminate()

    assert stack.wait() == 0
    assert started_at(pid) is None
    assert "did not stop in time" in (stack.data_dir / "logs" / "supervisor.log").read_text()


def test_a_killed_supervisor_leaves_no_orphans(start: Start) -> None:
    stack = start().await_ready()
    pids = stack.pids

    stack.process.kill()
    stack.wait()

    stack.until(lambda: not [name for name, pid in pids.items() if started_at(pid)])
    assert dict.fromkeys(CHILDREN, "ready") == start().await_ready().states()


def test_stages_are_stopped_and_started_by_name(start: Start) -> None:
    stack = start(workers=2).await_ready()

    assert list(control.ask(stack.data_dir, "stop", ["streams", "sinks"]))[-1] == {"done": True}
    stopped = {name for name, state in stack.states().items() if state == "stopped"}
    assert stopped == {"streams-0", "streams-1", "sinks-0"}
    assert sorted(stack.pids) == ["gateway-0", "kafka", "s3"]

    assert list(control.ask(stack.data_dir, "start", ["streams-1"]))[-1] == {"done": True}
    assert {name for name, state in stack.states().items() if state == "stopped"} == {"streams-0", "sinks-0"}
    assert list(control.ask(stack.data_dir, "start"))[-1] == {"done": True}
    assert set(stack.states().values()) == {"ready"}


def test_a_refold_that_finds_no_broker_stops_nothing(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    stack = start().await_ready()
    list(control.ask(stack.data_dir, "stop", ["kafka"]))
    before = stack.states()

    assert cli.main(["refold", "--data-dir", str(stack.data_dir), "--yes"]) == 1
    assert "nothing was stopped or dropped" in capsys.readouterr().err
    assert stack.states() == before
    assert before["streams-0"] == "ready"
