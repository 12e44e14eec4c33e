"""The command itself, killed with SIGKILL at many moments: run again, it comes to the same files."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sinks.folder import FolderStore
from tests.lakes import DAYS, files, watched_lake

KILLS = 6


@pytest.mark.timeout(300)
async def test_a_rebuild_killed_again_and_again_ends_with_the_same_files(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake(max_bytes=2_000).write(store)
    right = {key: body for key, body in (await files(store)).items() if f"dt={DAYS[0]}" in key}
    shutil.rmtree(tmp_path / "lake/analytics")
    command = [sys.executable, "-m", "deploy.cli", "rebuild", "--dt", DAYS[0], "--yes", "--json"]
    command += ["--data-dir", str(tmp_path / "data")]
    environ = {**os.environ, "SINKS_LAKE": (tmp_path / "lake").as_uri(), "SINKS_FORMAT": "jsonl"}
    started = time.monotonic()
    subprocess.run([*command, "--help"], env=environ, check=True, capture_output=True)  # noqa: ASYNC221, S603
    startup_s = time.monotonic() - started
    seed = random.randrange(1_000)
    rng = random.Random(seed)

    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: ASYNC220, S603
        try:
            process.communicate(timeout=startup_s * rng.uniform(0.8, 2.5))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        found = await files(store)
        assert all(body == right[key] for key, body in found.items()), f"seed {seed}"
    last = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)  # noqa: ASYNC221, S603

    assert last.returncode == 0, last.stderr
    assert right == await files(store), f"seed {seed}"
    assert json.loads(last.stdout)["events"] > 0
    assert not (tmp_path / "data/rebuild" / DAYS[0]).exists()
