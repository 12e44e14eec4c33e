"""The command itself, killed with SIGKILL at many moments: run again, it comes to the same files."""

from __future__ import annotations

import gzip
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


def deliver_as_the_reference(lake, bucket):
    """Put the archive's lines into objects as the reference's delivery service wrote them, and leave an empty lake."""
    for number, chunk in enumerate(sorted(lake.glob("raw/**/*.ndjson.gz"))):
        folder = bucket / chunk.parent.relative_to(lake) / "08"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"delivery-{number}").write_bytes(gzip.decompress(chunk.read_bytes()))
    shutil.rmtree(lake)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("of_the_reference", [False, True])
async def test_a_rebuild_killed_again_and_again_ends_with_the_same_files(tmp_path, of_the_reference):
    store = FolderStore(tmp_path / "lake")
    await watched_lake(max_bytes=2_000).write(store)
    right = {key: body for key, body in (await files(store)).items() if f"dt={DAYS[0]}" in key}
    command = [sys.executable, "-m", "deploy.cli", "rebuild", "--dt", DAYS[0], "--yes", "--json"]
    command += ["--data-dir", str(tmp_path / "data")]
    environ = {**os.environ, "SINKS_LAKE": (tmp_path / "lake").as_uri(), "SINKS_FORMAT": "jsonl"}
    if of_the_reference:
        deliver_as_the_reference(tmp_path / "lake", tmp_path / "bucket")
        command += ["--from", (tmp_path / "bucket").as_uri(), "--dedupe"]
        subprocess.run(command, env=environ, check=True, capture_output=True)  # noqa: ASYNC221, S603
        right = await files(store)
        assert right
    shutil.rmtree(tmp_path / "lake/analytics")
    started = time.monotonic()
    subprocess.run([*command, "--help"], env=environ, check=True, capture_output=True)  # noqa: ASYNC221, S603
    startup_s = time.monotonic() - started
    seed = random.randrange(1_000)
    rng = random.Random(seed)

    for _ in range(3):
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
