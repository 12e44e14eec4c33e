"""`watchtime forget` over a lake that holds what is not ours: it says that it is not finished, and why."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import forget
from deploy.errors import DeployError
from sinks.anonymise import Anonymiser
from sinks.forget_raw import Bound, forget_in_raw
from sinks.forget_rows import forget_in_files
from sinks.store import MemoryStore

FILE = "analytics/client_daily/dt=2026-01-01/data.parquet"
CHUNK = "raw/2026/01/01/watch.events-00000000-0-00000000000000000000.ndjson.gz"


async def in_files(store: MemoryStore, report: Callable[[str], None]) -> Any:
    return await forget_in_files(store, "c", (), report)


async def in_raw(store: MemoryStore, report: Callable[[str], None]) -> Any:
    bound = Bound(topic8="00000000", partition=0, offset=9)
    return await forget_in_raw(store, Anonymiser("c", bytes(32)), bound, report)


@pytest.mark.parametrize(("key", "look"), [(FILE, in_files), (CHUNK, in_raw)], ids=["file", "chunk"])
def test_what_is_not_ours_is_named(
    key: str, look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def forgotten(_stack: Any, _folder: Path, _client: str, _wait_s: float, report: Callable[[str], None]) -> Any:
        store = MemoryStore()
        await store.put(key, b"junk", {}, etag=None)
        return await look(store, report)

    monkeypatch.setenv("SINKS_LAKE", tmp_path.as_uri())
    monkeypatch.setattr(forget, "forget", forgotten)
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", default=str(tmp_path))
    forget.add_arguments(parser)

    assert forget.run(parser.parse_args(["--client", "c", "--yes"])) == forget.NOT_FINISHED
    said = capsys.readouterr().err
    assert key in said
    assert "not finished" in said


def test_a_journal_goes_on_where_it_was_until_it_is_destroyed(tmp_path: Path) -> None:
    begun = forget.Journal(tmp_path, "ana", "topic")
    begun.note(forget.ControlRecord(partition=1, offset=7))
    again = forget.Journal(tmp_path, "ana", "topic")

    assert (again.key, again.control) == (begun.key, begun.control)
    again.destroy()
    assert list((tmp_path / "forget").iterdir()) == []
    assert forget.Journal(tmp_path, "ana", "topic").key != begun.key


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    forget.Journal(tmp_path, "ana", "topic")
    (file,) = (tmp_path / "forget").iterdir()
    file.write_bytes(b"000")

    with pytest.raises(DeployError, match=f"{file} is damaged"):
        forget.Journal(tmp_path, "ana", "topic")


def test_a_key_is_not_spoiled_before_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed just before it is removed: the next run has to read it."""
    journal = forget.Journal(tmp_path, "ana", "topic")
    monkeypatch.setattr(Path, "unlink", lambda _: None)

    journal.destroy()

    assert forget.Journal(tmp_path, "ana", "topic").key == journal.key
