"""One supervisor a data folder, and nothing left of the one before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.process import started_at
from deploy.local.tenancy import OccupiedError, held, is_held, note_processes


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(OccupiedError, match="watchtime down"), held(tmp_path):
            pass
    assert not is_held(tmp_path)


def test_a_child_that_outlived_its_supervisor_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        note_processes(tmp_path, {"kafka": child.pid})

        with held(tmp_path):
            assert started_at(child.pid) is None
        assert child.wait() == -9


def test_a_process_that_only_has_the_same_id_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text(json.dumps({"kafka": [os.getpid(), 12345.0]}))

    with held(tmp_path):
        assert started_at(os.getpid()) is not None
