"""An id for each request: in every line that is logged meanwhile, and in the answer's X-Request-Id.

A proxy in front may give the id; a text that is longer or holds anything else than letters, digits, dot, dash and
underscore is not taken.
"""

from __future__ import annotations

import itertools
import re
import secrets
from typing import Final

from structlog.contextvars import bind_contextvars

HEADER: Final = "X-Request-Id"
_GOOD = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Ids of one process: a random beginning and a number that grows."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def begin(self, given: str | None) -> str:
        """Return the id of a request that begins in this task, and log it from now on."""
        if given is None or not _GOOD.fullmatch(given):
            given = f"{self._prefix}-{next(self._numbers)}"
        bind_contextvars(request_id=given)
        return given
