"""Reading files of the lake while a sink writes them.

DuckDB asks an object for its size first and for parts of it then. An object that was written in between makes it read
past an end or find no footer, and it tells that with whatever error comes first, sometimes in bytes that are no text.
What was read is gone by the next try, so such errors are worth a few.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import duckdb

#: Tries at most; files are written at most each refresh interval, and a try takes much less.
_TRIES: Final = 6
_PAUSE_S: Final = 0.2

Answer = TypeVar("Answer")


class UnreadableLakeError(Exception):
    """A file of the lake cannot be read, again and again."""


def reread(read: Callable[[], Answer]) -> Answer:
    """Return what `read` returns, tried again while its files change; what went wrong last if they never hold still."""
    for _ in range(_TRIES - 1):
        try:
            return read()
        except (duckdb.Error, UnicodeDecodeError) as error:
            if not _may_pass(error):
                raise
        time.sleep(_PAUSE_S)
    try:
        return read()
    except UnicodeDecodeError as error:
        raise UnreadableLakeError(
            f"a file of the lake cannot be read ({_TRIES} tries; DuckDB's words are no text: {error.object!r}); "
            "`watchtime reconcile` names a damaged file of a day"
        ) from error


def _may_pass(error: Exception) -> bool:
    """Tell whether an error may come from a file that changed: not what DuckDB says of the statement itself."""
    if isinstance(error, UnicodeDecodeError | duckdb.IOException | duckdb.InvalidInputException):
        return True
    return type(error) is duckdb.Error
