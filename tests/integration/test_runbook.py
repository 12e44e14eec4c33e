"""Every command of deploy/RUNBOOK.md, run as it is written on a stack that has counted something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import proof
from tests.document_shell import blocks_of, environ_of
from tests.stacks import StackFactory

BLOCKS = blocks_of("deploy/RUNBOOK.md")
WITHIN_S = 180


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_runbook_runs_as_it_is_written(stack: StackFactory, tmp_path: Path) -> None:
    running = stack()
    facts, _ = proof.post(running, "--events", "300", "--rate", "300", "--clients", "20", "--batch", "10")
    assert facts["events"] == 300
    (tmp_path / ".watchtime").symlink_to(running.data_dir)
    day = BLOCKS[0].splitlines()[0]
    assert day.startswith("DAY=")

    for block in BLOCKS:
        done = subprocess.run(  # noqa: S603 - our own document
            ["/bin/bash", "-euo", "pipefail", "-c", f"{day}\n{block}"],
            cwd=tmp_path,
            env=environ_of(),
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
        print(f"--- {block}{done.stdout[-600:]}")
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}{running.logs()}"
