"""What a start finds: another stack, taken ports, data made otherwise, a child that cannot."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import endpoints
from deploy.local.children import GATEWAY_METRICS_PORT, GATEWAY_PORT, KAFKA_PORT, S3_PORT
from deploy.local.ports import LOOPBACK, free_port
from tests.integration.standin_stacks import Start, start_fixture  # noqa: F401 - the fixture


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


@pytest.fixture
def usual_ports_taken() -> Iterator[None]:
    """Nobody gets the ports that every stack would like: another test's stack might, while one of ours is down."""
    with contextlib.ExitStack() as sockets:
        for port in (GATEWAY_PORT, GATEWAY_METRICS_PORT, KAFKA_PORT, S3_PORT):
            taken = sockets.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # another stack has it
                taken.bind((LOOPBACK, port))
                taken.listen()
        yield


@pytest.mark.usefixtures("usual_ports_taken")
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


def test_a_named_port_that_is_free_is_used(start: Start) -> None:
    stack = start(gateway_port=(port := free_port())).await_ready()

    assert endpoints.read(stack.data_dir)["gateway"] == f"http://127.0.0.1:{port}"


def test_a_child_that_cannot_start_ends_the_start_with_its_own_words(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "streams-0.broken").touch()
    stack = start()

    assert stack.wait() == 1
    [error] = stack.said("error")
    assert "streams-0 ended 3 times while starting" in error
    assert "streams-0 cannot start: this is a test" in error
    assert stack.pids == {}


def test_only_the_named_stages_and_what_they_need_are_started(start: Start) -> None:
    stack = start(stages=("streams",)).await_ready()

    assert sorted(stack.pids) == ["kafka", "streams-0"]


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
