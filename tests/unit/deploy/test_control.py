"""What the channel into a supervisor says when the other end goes away, and what a running stack does not take."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.local import control, tenancy
from deploy.local.config import Facts, write_record


@pytest.fixture
def cut_off(tmp_path: Path) -> Iterator[Path]:
    """Yield a data folder whose supervisor takes a request and ends without an answer."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / control.SOCKET))
        server.listen()

        def end() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.close()

        thread = threading.Thread(target=end)
        thread.start()
        yield tmp_path
        thread.join(5)


def test_an_answer_that_does_not_come_is_an_error(cut_off: Path) -> None:
    with pytest.raises(control.CutOffError, match="ended before it had answered"):
        list(control.ask(cut_off, "describe"))


def test_down_waits_for_a_stack_that_was_ending_already(cut_off: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--data-dir", str(cut_off)]) == 0

    assert capsys.readouterr().err == "stopped\n"


RESTART, ANOTHER = "stop all of it with `watchtime down`", "use another --data-dir"


@pytest.mark.parametrize(
    ("option", "way"),
    [
        ("--gateway-port=1", RESTART),
        ("--refresh-s=1", RESTART),
        ("--partitions=1", ANOTHER),
        ("--shards=2", ANOTHER),
        ("--lake=s3://x", ANOTHER),
    ],
)
def test_a_running_stack_takes_no_other_options(
    option: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tenancy, "is_held", lambda _: True)
    told = {"gateway": "http://127.0.0.1:4000", "lake": "s3://watchtime", "refresh_s": 10.0}
    (tmp_path / "endpoints.json").write_text(json.dumps(told))
    write_record(tmp_path, Facts(partitions=4, shards=1), {})
    monkeypatch.setattr(control, "ask", lambda *_: iter([{"done": True}]))
    as_they_are = ["--gateway-port=4000", "--lake=s3://watchtime", "--refresh-s=10", "--partitions=4"]

    assert main(["up", "--data-dir", str(tmp_path), "--detach", *as_they_are, option, "sinks"]) == 1
    assert f"leave out {option.partition('=')[0]}, or {way}" in capsys.readouterr().err

    assert main(["up", "--data-dir", str(tmp_path), "--detach", *as_they_are, "--gateway-port=0", "sinks"]) == 1
    assert "leave out" not in capsys.readouterr().err
