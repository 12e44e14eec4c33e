"""The command line itself: quick help, one line for errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli import COMMANDS, main


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
