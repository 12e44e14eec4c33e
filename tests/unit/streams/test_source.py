"""What a source does where no partition is held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka.errors import UnknownError

from streams import metrics, source
from streams.settings import Settings


class EndedError(Exception):
    """Stands for the end of the process."""


async def test_an_error_of_the_group_ends_the_process_though_nothing_is_fetched(monkeypatch):
    def end(what: str, error: BaseException) -> NoReturn:
        raise EndedError(what) from error

    def check_errors() -> NoReturn:
        raise UnknownError

    nothing: Any = None
    spare = source.PartitionSource(
        settings=Settings(group="g"),
        topic="t",
        group="partials",
        channel=nothing,
        make_owner=nothing,
        readiness=metrics.Readiness(["t"]),
    )
    spare._consumer = SimpleNamespace(_coordinator=SimpleNamespace(check_errors=check_errors))
    monkeypatch.setattr(source, "end_process", end)
    monkeypatch.setattr(source, "_WATCH_S", 0.0)

    with pytest.raises(EndedError, match="group g-partials"):
        await source.PartitionSource._watch_group.fun(spare)
