"""The disk of the lake is full for a while: it shows, nothing is lost, and it goes on by itself when there is room."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

from tests import proof
from tests.faults.loads import load
from tests.faults.small_disk import SmallDisk, small_disk
from tests.stacks import Stack, StackFactory
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MIB = 48
WITHIN_S = 60.0


def test_the_folder_of_a_lake_is_full(stack: StackFactory, tmp_path: Path) -> None:
    with small_disk(tmp_path / "lake", MIB) as disk:
        running = stack("--lake", (tmp_path / "lake" / "files").as_uri())
        run_full(running, disk, 11)
        running.down()


def test_the_disk_of_the_s3_server_is_full(stack: StackFactory) -> None:
    running = stack(up=False)
    with small_disk(running.data_dir / "s3", MIB) as disk:
        running.up("--refresh-s", "1")
        run_full(running, disk, 12)
        running.down()


def run_full(running: Stack, disk: SmallDisk, seed: int) -> None:
    """Fill the disk under load, see it in status and metrics, make room, and hold every row against the oracle."""
    sinks = running.pids["sinks-0"]
    with load(running, seed) as acknowledged:
        until(lambda: running.status()["last_file"], WITHIN_S, "a file")
        disk.fill()
        # Ten is more than a hiccup: whoever watches sees it, as do the rules (LakeDoesNotAnswer, FilesLate).
        until(lambda: sample(running, "watchtime_sinks_store_errors_total") > 10, WITHIN_S, "errors of the store")
        until(lambda: sample(running, "watchtime_sinks_dirty_seconds") > 5, WITHIN_S, "files that are late")
        assert running.status()["lag"]["sinks"] + running.status()["lag"]["archive"] > 0
        said = running.logs(400)
        assert "No space left on device" in said or "507 InsufficientStorage" in said
        disk.free()
        until(lambda: sample(running, "watchtime_sinks_dirty_seconds") < 5, WITHIN_S, "files that are not late")
    proof.assert_right(running, acknowledged)
    assert running.pids["sinks-0"] == sinks, "a full disk ends no process"


def sample(running: Stack, name: str) -> float:
    """Return the greatest sample of a metric of the sinks."""
    with urllib.request.urlopen(running.endpoints["stage_metrics"]["sinks-0"], timeout=10) as answer:  # noqa: S310 - ours
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), flags=re.MULTILINE)
    return max(map(float, found), default=0.0)
