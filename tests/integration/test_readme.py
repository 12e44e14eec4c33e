"""README.md as a reader follows it, from an empty folder: each block is run, and says what the page says it says."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.local import endpoints
from tests.document_shell import blocks_of, environ_of, said
from tests.waiting import until

#: Seconds until a first row is seen, and a start, on a machine that does other things too.
FIRST_ROW_WITHIN_S = 30.0


def squeezed(text: str) -> str:
    """The words of a text: how wide a column or a line is depends on the terminal."""
    return " ".join(text.split())


def seconds_until(happened: Callable[[], bool], since: float) -> float:
    until(happened, FIRST_ROW_WITHIN_S, "a first row")
    return time.monotonic() - since


@pytest.mark.timeout(240)
def test_every_block_runs_and_says_what_the_page_says(shell: subprocess.Popen[str], tmp_path: Path) -> None:
    both, start, curl, ask, prove, *_ = blocks_of("README.md")
    assert [line.partition(" #")[0].strip() for line in both.splitlines()] == ["make demo", "make test"]
    _, ready, answers, row, reconciled = blocks_of("README.md", "text")
    (tmp_path / ".venv").symlink_to(sys.prefix)

    started = said(shell, start)
    told = endpoints.read(tmp_path / ".watchtime")
    assert [line.split()[0] for line in started.split("\n") if "ready: " in line or "lake " in line] == [
        line.split()[0] for line in ready.splitlines()
    ]

    def here(block: str) -> str:
        """The block with the ports that this stack got, and the day that it is."""
        other = block.replace("http://127.0.0.1:4000", told["gateway"])
        other = other.replace("127.0.0.1:9092", told["bootstrap_servers"])
        return other.replace("2026-11-24", datetime.datetime.now(datetime.UTC).date().isoformat())

    posted = said(shell, here(curl))
    since = time.monotonic()
    (accepted,) = blocks_of("README.md", "json")
    assert json.loads(posted) == json.loads(accepted)
    page = seconds_until(lambda: bool(rows_of_page(told["gateway"])), since)
    lake = seconds_until(lambda: "video_id" in said(shell, 'watchtime query "FROM video_daily" --csv'), since)
    print(f"first row: on the page after {page:.1f} s, in the lake after {lake:.1f} s")

    asked = squeezed(said(shell, ask))
    table, status = answers.split("\n part ")
    assert squeezed(table) in asked
    assert [line.split()[0] for line in status.splitlines()[1:6] if line.split()[0] not in asked] == []
    assert "records not yet confirmed: partials" in asked
    assert "last file: analytics/" in asked
    (tmp_path / "rows.py").write_text(here(blocks_of("README.md", "python")[0]))
    assert first_line(tmp_path / "rows.py").startswith(here(row).strip().rstrip("…"))

    # The pages that go on from here.
    for document in ("athena/README.md", "athena/QUICKSIGHT.md"):
        for block in blocks_of(document)[:1]:
            assert said(shell, block).strip()
    assert (tmp_path / "dashboard.svg").read_text().startswith("<svg")

    assert squeezed(said(shell, prove)) == squeezed(here(reconciled))


def rows_of_page(gateway: str) -> list[dict[str, Any]]:
    """Return the videos that the live page has now; none while it says that it is reading the topics."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        with urllib.request.urlopen(f"{gateway}/api/daily?dt={day}&table=video", timeout=10) as answer:  # noqa: S310
            return list(json.load(answer))
    except urllib.error.HTTPError as refusal:
        if refusal.code != 503:
            raise
        return []


def first_line(program: Path) -> str:
    """Return the first line that a program prints, and end it."""
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, env=environ_of(), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout
        line = process.stdout.readline()
        process.kill()
    return line
