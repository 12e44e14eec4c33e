"""DuckDB draws no bar into an answer, wherever it is called from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: A program without a file, such as a notebook, is one that DuckDB draws for.
ASKED = "print(connection.execute(\"SELECT current_setting('enable_progress_bar')\").fetchone())"


@pytest.mark.parametrize(
    "made",
    [
        "from sinks.reconcile import Recount; connection = Recount('2026-01-05', 'event', None).connection",
        "from athena.local import connect; from sinks.lake import Lake; connection = connect(Lake(url='file:///none'))",
    ],
)
def test_no_bar_is_drawn_on_standard_output(made: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", f"{made}; {ASKED}"], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout == "(False,)\n"
