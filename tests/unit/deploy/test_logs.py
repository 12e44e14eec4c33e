"""Logs stay small while their writers hold them open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.local import logs
from deploy.local.logs import cap


def test_a_log_beyond_the_cap_begins_anew_and_keeps_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "streams-0.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100 + b"\n")
        cap(tmp_path, 100)
        writer.write(b"after\n")

    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "streams-0.log.1").read_bytes() == b"x" * 100 + b"\n"


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s3.log").write_bytes(b"short\n")

    cap(tmp_path, 100)

    assert [file.name for file in tmp_path.iterdir()] == ["s3.log"]


def test_a_full_disk_gets_room_instead_of_a_copy(tmp_path: Path) -> None:
    log, older = tmp_path / "s3.log", tmp_path / "s3.log.1"
    log.write_bytes(b"x" * 101)
    older.symlink_to("/dev/full")

    cap(tmp_path, 100)

    assert (log.read_bytes(), older.is_symlink()) == (b"", False)


async def test_a_log_that_cannot_be_moved_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "CAP_BYTES", 100)
    monkeypatch.setattr(logs, "CHECK_EVERY_S", 0.01)
    log, older = tmp_path / "s3.log", tmp_path / "s3.log.1"
    log.write_bytes(b"x" * 101)
    older.mkdir()
    with pytest.raises(IsADirectoryError):
        cap(tmp_path, 100)
    keeping = asyncio.create_task(logs.keep_small(tmp_path))
    await asyncio.wait([keeping], timeout=0.1)

    older.rmdir()

    async with asyncio.timeout(10):
        while log.stat().st_size:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.01)
    keeping.cancel()
