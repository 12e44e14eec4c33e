"""Which errors of DuckDB are worth another try, and how a file that never can be read is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pytest

from athena import rereading
from athena.rereading import UnreadableLakeError, reread

CHANGED = [
    UnicodeDecodeError("utf-8", b"got \xe0", 4, 5, "invalid continuation byte"),
    duckdb.InvalidInputException("No magic bytes found at end of file"),
    duckdb.HTTPException("the remote file has changed"),
    duckdb.Error("don't know what type: "),
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "_PAUSE_S", 0)


def failing(errors: list[Exception]) -> Callable[[], str]:
    left: Iterator[Exception] = iter(errors)

    def read() -> str:
        for error in left:
            raise error
        return "read"

    return read


@pytest.mark.parametrize("error", CHANGED, ids=lambda error: type(error).__name__)
def test_a_file_that_changed_is_read_again(error: Exception) -> None:
    assert reread(failing([error] * 5)) == "read"


@pytest.mark.parametrize("error", CHANGED, ids=lambda error: type(error).__name__)
def test_a_file_that_never_can_be_read_is_told(error: Exception) -> None:
    with pytest.raises(UnreadableLakeError if isinstance(error, UnicodeDecodeError) else type(error)):
        reread(failing([error] * 6))


@pytest.mark.parametrize("kind", [duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException])
def test_what_is_wrong_with_the_statement_is_told_at_once(kind: type[duckdb.Error]) -> None:
    with pytest.raises(kind):
        reread(failing([kind("the statement")]))
