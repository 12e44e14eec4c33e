"""A rebuild large enough for processes of its own writes what a small one writes."""

from __future__ import annotations

import pytest

from sinks import part_writers
from sinks.folder import FolderStore
from tests.integration.rebuilding import rebuild
from tests.lakes import DAYS, files, watched_lake


async def test_processes_read_what_a_thread_reads(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(part_writers, "_WORTH_PROCESSES", 0)
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    before = await files(store)

    outcome = await rebuild(tmp_path, DAYS[0])

    assert (outcome.differing, outcome.events > 0) == (0, True)
    assert before == await files(store)
