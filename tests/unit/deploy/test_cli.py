"""The command line itself: quick help, one line for errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from deploy.cli import COMMANDS, main
from deploy.local import tenancy


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_help_loads_no_stage_and_no_kafka_client() -> None:
    code = "import sys, deploy.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603

    for module in ("aiokafka", "aiohttp", "boto3", "rich", "faust", "duckdb"):
        assert f"'{module}'" not in said


def test_an_error_is_a_sentence_without_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["down", "--data-dir", str(tmp_path), "streams"]) == 1

    said = capsys.readouterr().err
    assert said.startswith(f"watchtime down: no stack is running in {tmp_path}")
    assert "Traceback" not in said


def test_down_without_a_stack_is_no_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["down", "--data-dir", str(tmp_path)]) == 0

    assert "no stack is running" in capsys.readouterr().err


def test_status_without_a_stack_tells_programs_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 1

    assert '"running":false' in capsys.readouterr().out


def test_status_while_a_first_stack_starts_is_that_of_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with tenancy.held(tmp_path):
        assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 1

    assert '"running":false' in capsys.readouterr().out


@pytest.mark.parametrize(
    "line", ["--data-dir D rejected list", "rejected --data-dir D list", "rejected list --data-dir D --json"]
)
def test_the_data_folder_may_be_named_anywhere(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endpoints.json").write_text('{"bootstrap_servers": "127.0.0.1:1"}')
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:2")

    assert main(line.replace(" D", f" {tmp_path}").split()) == 1

    assert "127.0.0.1:1 " in capsys.readouterr().err


def test_what_a_command_logs_is_not_among_its_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["status", "--json", "--data-dir", str(tmp_path)])
    capsys.readouterr()

    structlog.get_logger().warning("the lake does not answer")

    said = capsys.readouterr()
    assert (said.out, "the lake does not answer" in said.err) == ("", True)


def test_a_forgetting_for_programs_asks_nothing_and_does_nothing_without_yes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["forget", "--client", "c", "--json", "--data-dir", str(tmp_path)]) == 1

    said = json.loads(capsys.readouterr().out)
    assert (said["client"], "--yes" in said["error"]) == ("c", True)


def test_a_forgetting_that_fails_tells_programs_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SINKS_LAKE", raising=False)

    assert main(["forget", "--client", "c", "--json", "--yes", "--data-dir", str(tmp_path)]) == 2

    assert "endpoints.json" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize("stage", ["streams", "sinks"])
def test_a_stage_refuses_what_it_does_not_know_before_it_begins(stage: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", stage, "--workers", "2"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, "unrecognized arguments: --workers 2" in done.stderr) == (2, True)


def test_an_error_is_told_programs_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert main(["rejected", "list", "--json", "--data-dir", str(tmp_path), "--since", "2h"]) == 1

    assert "watch.rejected" in json.loads(capsys.readouterr().out)["error"]
