"""The supervisor, over stand-in programs: restarts, clean stops, no orphans, ports, and stacks side by side."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import cli
from deploy.local import control, endpoints, tenancy
from deploy.local.config import Options
from deploy.local.process import started_at

CHILDREN = ["kafka", "s3", "gateway-0", "streams-0", "sinks-0"]


class StandinStack:
    """A supervisor process over stand-in programs, and what it says."""

    def __init__(self, options: Options) -> None:
        self.data_dir = options.data_dir
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.standins", options.to_json()], stdout=subprocess.PIPE, text=True
        )
        self.messages: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.messages.append(json.loads(line))

    @property
    def pids(self) -> dict[str, int]:
        """The children's process ids as endpoints.json says."""
        return {name: pid for name, pid in endpoints.read(self.data_dir)["pids"].items() if name != "supervisor"}

    def states(self) -> dict[str, str]:
        """Where each child stands."""
        *_, answer = control.ask(self.data_dir, "describe")
        return {child["name"]: child["state"] for child in answer["children"]}

    def await_ready(self) -> StandinStack:
        """Wait until it is ready; fail when it says that it will not be."""
        until(lambda: self.said("ready") or self.said("error") or self.process.poll() is not None)
        assert self.said("ready"), self.messages
        return self

    def said(self, key: str) -> list[Any]:
        """Return what messages hold under a key."""
        return [message[key] for message in list(self.messages) if key in message]

    def wait(self) -> int:
        """Wait for the end of the supervisor and return its exit code."""
        code = self.process.wait(20)
        self._reader.join()
        return code

    def end(self) -> None:
        """Be gone, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        if self.process.stdout:
            self.process.stdout.close()


def until(condition: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come"
        time.sleep(0.02)


Start = Callable[..., StandinStack]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    stacks: list[StandinStack] = []

    def make(folder: str = "data", **options: Any) -> StandinStack:
        stacks.append(StandinStack(Options(data_dir=tmp_path / folder, **options)))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.end()


def test_all_children_are_ready_before_the_stack_is(start: Start) -> None:
    stack = start().await_ready()

    assert dict.fromkeys(CHILDREN, "ready") == stack.states()
    assert sorted(CHILDREN) == sorted(stack.pids)
    assert all(started_at(pid) for pid in stack.pids.values())


def test_stages_are_started_after_what_they_need(start: Start) -> None:
    stack = start().await_ready()

    order = [(m["name"], m["state"]) for m in stack.messages if "name" in m]
    assert order.index(("kafka", "ready")) < order.index(("streams-0", "starting"))
    assert order.index(("s3", "ready")) < order.index(("sinks-0", "starting"))


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_comes_back_with_a_new_pid(start: Start, name: str) -> None:
    stack = start().await_ready()
    before = stack.pids

    os.kill(before[name], signal.SIGKILL)

    until(lambda: stack.pids.get(name, before[name]) != before[name] and stack.states()[name] == "ready")
    others = {other for other in CHILDREN if other != name}
    assert {other: before[other] for other in others} == {other: stack.pids[other] for other in others}
    log = (stack.data_dir / "logs" / "supervisor.log").read_text()
    assert '"event": "child ended"' in log
    assert '"exit_code": -9' in log


def test_no_instance_runs_beside_the_one_before_it(start: Start) -> None:
    stack = start().await_ready()
    for _ in range(3):
        pid = stack.pids["streams-0"]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: stack.pids.get("streams-0", pid) != pid and stack.states()["streams-0"] == "ready")

    starts = (stack.data_dir / "streams-0.starts").read_text().splitlines()
    assert [line.split()[1] for line in starts] == ["alone"] * 4


def test_a_stage_waits_for_the_broker_to_come_back(start: Start) -> None:
    stack = start().await_ready()
    pids = stack.pids
    (stack.data_dir / "kafka.broken").touch()

    os.kill(pids["kafka"], signal.SIGKILL)
    until(lambda: stack.states()["kafka"] == "waiting")
    os.kill(pids["streams-0"], signal.SIGKILL)
    os.kill(pids["gateway-0"], signal.SIGKILL)

    until(lambda: stack.states()["gateway-0"] == "ready" and stack.pids["gateway-0"] != pids["gateway-0"])
    assert stack.states()["streams-0"] == "waiting"
    (stack.data_dir / "kafka.broken").unlink()
    until(lambda: set(stack.states().values()) == {"ready"})


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

    until(lambda: not [name for name, pid in pids.items() if started_at(pid)], timeout_s=5)
    assert dict.fromkeys(CHILDREN, "ready") == start().await_ready().states()


def test_a_second_stack_in_the_same_folder_is_refused(start: Start) -> None:
    start().await_ready()
    second = start()

    assert second.wait() == 1
    [error] = second.said("error")
    assert "a stack is running in" in error
    assert "watchtime down" in error


def test_two_stacks_run_side_by_side(start: Start) -> None:
    first, second = start("one").await_ready(), start("two").await_ready()

    addresses = [endpoints.read(stack.data_dir) for stack in (first, second)]
    for key in ("gateway", "metrics", "bootstrap_servers", "s3_endpoint"):
        assert addresses[0][key] != addresses[1][key]
    first.process.terminate()
    assert first.wait() == 0
    assert set(second.states().values()) == {"ready"}


def test_ports_are_kept_by_the_next_start(start: Start) -> None:
    first = start().await_ready()
    before = endpoints.read(first.data_dir)
    first.process.terminate()
    first.wait()

    after = endpoints.read(start().await_ready().data_dir)
    for key in ("gateway", "metrics", "stage_metrics", "bootstrap_servers", "s3_endpoint", "access_key"):
        assert before[key] == after[key]


def test_a_named_port_that_is_taken_is_an_error(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        stack = start(gateway_port=port)

        assert stack.wait() == 1
    assert f"port {port} on 127.0.0.1 is taken" in stack.said("error")[0]


def test_a_named_port_that_is_free_is_used(start: Start, unused_port: int) -> None:
    stack = start(gateway_port=unused_port).await_ready()

    assert endpoints.read(stack.data_dir)["gateway"] == f"http://127.0.0.1:{unused_port}"


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_child_that_cannot_start_ends_the_start_with_its_own_words(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "streams-0.broken").touch()
    stack = start()

    assert stack.wait() == 1
    [error] = stack.said("error")
    assert "streams-0 ended 3 times while starting" in error
    assert "streams-0 cannot start: this is a test" in error
    assert stack.pids == {}


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


def test_only_the_named_stages_and_what_they_need_are_started(start: Start) -> None:
    stack = start(stages=("streams",)).await_ready()

    assert sorted(stack.pids) == ["kafka", "streams-0"]


def test_an_unknown_stage_is_named(start: Start) -> None:
    stack = start().await_ready()

    [answer] = control.ask(stack.data_dir, "stop", ["stream"])
    assert answer == {"error": "there is no 'stream' in this stack; it has kafka, s3, gateway, streams, sinks"}


def test_a_folder_lake_needs_no_s3_server(start: Start, tmp_path: Path) -> None:
    stack = start(lake=f"file://{tmp_path}/lake").await_ready()

    assert sorted(stack.pids) == ["gateway-0", "kafka", "sinks-0", "streams-0"]
    told = endpoints.read(stack.data_dir)
    assert [told["s3_endpoint"], told["bucket"], told["access_key"]] == ["", "", ""]


def test_another_partition_count_is_refused_on_old_data(start: Start) -> None:
    first = start(partitions=4).await_ready()
    first.process.terminate()
    first.wait()
    second = start(partitions=8)

    assert second.wait() == 1
    assert "was made with --partitions 4, now 8 is asked for" in second.said("error")[0]


def test_a_deep_data_folder_is_no_obstacle(start: Start) -> None:
    stack = start("/".join(["a-folder-with-a-long-name"] * 6)).await_ready()

    assert set(stack.states().values()) == {"ready"}


def test_a_refold_that_finds_no_broker_stops_nothing(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    stack = start().await_ready()
    list(control.ask(stack.data_dir, "stop", ["kafka"]))
    before = stack.states()

    assert cli.main(["refold", "--data-dir", str(stack.data_dir), "--yes"]) == 1
    assert "nothing was stopped or dropped" in capsys.readouterr().err
    assert stack.states() == before
    assert before["streams-0"] == "ready"
