"""What `watchtime reconcile` says of a range of which it could not look at every day."""

from __future__ import annotations

import argparse
import errno
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.local.nightly import Night, after
from sinks import reconcile_command
from sinks.reconcile_day import Finding
from sinks.reconcile_pass import Compared, Outcome
from sinks.reconcile_settle import NotSettledError


def compared(dt: str) -> Outcome:
    finding = Finding(dt=dt, drift=0, rows=4, events=9, chunks=1, counted_again=0, dropped=0, differences=[])
    return Compared(finding=finding, drift=None, is_open=False)  # type: ignore[arg-type] # not looked at


async def broken_off(_stack: Any, days: Sequence[str], *_: Any) -> AsyncGenerator[Outcome, None]:
    yield compared(days[0])
    raise NotSettledError("the stages are behind")


async def full_disk(_stack: Any, days: Sequence[str], *_: Any) -> AsyncGenerator[Outcome, None]:
    yield compared(days[0])
    raise OSError(errno.ENOSPC, "no space left")


def run(folder: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, default=folder)
    reconcile_command.add_arguments(parser)
    return reconcile_command.run(parser.parse_args(["--from", "2026-11-20", "--to", "2026-11-22", *arguments]))


def test_days_that_were_told_stay_told_when_a_later_one_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SINKS_LAKE", tmp_path.as_uri())
    monkeypatch.setattr(reconcile_command, "reconcile_days", broken_off)

    assert run(tmp_path, "--json") == 2
    found = json.loads(capsys.readouterr().out)

    why = "the stages are behind"
    told = {name: found[name] for name in ("from", "to", "drift", "days", "untold", "rows", "error")}
    assert told == {
        "from": "2026-11-20",
        "to": "2026-11-22",
        "drift": 0,
        "untold": 2,
        "rows": 4,
        "days": [
            compared("2026-11-20").finding.to_dict(),  # type: ignore[union-attr]
            {"dt": "2026-11-21", "error": why},
            {"dt": "2026-11-22", "error": why},
        ],
        "error": why,
    }
    night = after(Night(right_through="2026-11-19", ran_to="2026-11-21"), "2026-11-22", 2, found, 0.0)
    assert night.right_through == "2026-11-20", "the next night looks at the others again"

    assert run(tmp_path) == 2
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "total drift=0 days=3 untold=2 rows=4 events=9"
    assert why in said.err


@pytest.mark.parametrize(
    ("days", "said"),
    [pytest.param(full_disk, "no space left", id="a full disk"), pytest.param(None, "Traceback", id="nobody foresaw")],
)
def test_what_breaks_it_off_is_no_drift(
    days: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SINKS_LAKE", tmp_path.as_uri())
    monkeypatch.setattr(reconcile_command, "reconcile_days", days)

    assert run(tmp_path) == reconcile_command.UNTOLD
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SINKS_LAKE": "bucket"}, "'bucket' names no lake"),
        ({"SINKS_LAKE": "s3://bucket", "AWS_PROFILE": "of-nobody"}, "of-nobody"),
        ({"SINKS_LAKE": "s3://bucket", "SINKS_S3_ENDPOINT": "minio:9000"}, "SINKS_S3_ENDPOINT"),
    ],
)
def test_a_lake_that_cannot_be_opened_is_no_drift(
    environ: dict[str, str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert run(tmp_path) == reconcile_command.UNTOLD
    told = capsys.readouterr().err
    assert named in told
    assert "Traceback" not in told
