"""Logs stay small while their writers hold them open."""

from __future__ import annotations

from pathlib import Path

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
