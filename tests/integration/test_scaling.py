"""Every command of deploy/SCALING.md, run as it is written, from an empty folder."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path

import pytest

from sinks.lake import Lake
from tests import proof
from tests.document_shell import ROOT, blocks_of, said

GUIDE = "deploy/SCALING.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_runs_as_it_is_written(shell: subprocess.Popen[str], tmp_path: Path):
    day = (datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=30)).isoformat()
    plant(tmp_path / "lake", day, 40)
    answers = {block: said(shell, block) for block in blocks_of(GUIDE)}

    text = " ".join((ROOT / GUIDE).read_text().split())
    for block, answer in answers.items():
        print(f"--- {block}{answer[-400:]}")
        for line in answer.splitlines():
            if line.startswith("watchtime up: "):
                # The document shows the folder as it is typed.
                assert line.replace(f"{tmp_path}/", "") in text
    (refused,) = [answer for block, answer in answers.items() if "! watchtime up" in block]
    assert "made with --partitions 4, now 8 is asked for" in refused
    (backfill, *_) = [answer for block, answer in answers.items() if "may still change" in answer]
    assert "wrote" in backfill
    rows = proof.rows_in(Lake(url=(tmp_path / "lake-8").as_uri()))
    assert [row["total_events"] for row in rows["ingest_daily", day]] == [40]


def plant(lake: Path, day: str, count: int) -> None:
    """Put events of an old day into a lake's archive, as a delivery service did before this project."""
    folder = lake / "raw" / day.replace("-", "/")
    folder.mkdir(parents=True)
    at_ms = int(datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() * 1_000)
    events = (
        {
            "schema": 1,
            "event_id": f"e{number}",
            "event_ts": at_ms + number,
            "event_type": "video_start",
            "client_session_id": "somebody",
            "tab_id": "1",
            "video_id": "v",
            "video_session_id": "s",
        }
        for number in range(count)
    )
    (folder / "events.ndjson").write_text("".join(f"{json.dumps(event)}\n" for event in events))
