"""`watchtime forget` over a lake that holds what is not ours: it says that it is not finished, and why."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import forget
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
