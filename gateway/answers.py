"""How the gateway answers: JSON always, errors as `{"ok":false,"error":"…"}`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

#: Seconds after which a client that heard 503 may try again.
RETRY_AFTER_S = 1


class Refusal(Exception):  # noqa: N818 - an answer like any other, raised to leave early
    """A request is not taken; `status` and the text tell the client why, `reason` is a short word for metrics."""

    def __init__(self, status: int, error: str, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        self._headers = headers

    def answer(self) -> web.Response:
        """Return the refusal as an answer."""
        return error_answer(self.status, str(self), self._headers)


def json_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(status=status, body=body, headers=headers, content_type="application/json")


def error_answer(status: int, error: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error as an answer."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {**(headers or {}), "Retry-After": str(RETRY_AFTER_S)}
    return json_answer(status, orjson.dumps({"ok": False, "error": error}), headers)
