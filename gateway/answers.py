"""How the gateway answers: JSON always, errors as `{"ok":false,"error":"…"}`.

A short answer is put together and sent in one piece. aiohttp's own way is made for answers of every kind (cookies,
compression, files, streams) and took a tenth of the time of a POST.
"""

from __future__ import annotations

import email.utils
import functools
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

#: Seconds after which a client that heard 503 may try again.
RETRY_AFTER_S = 1


class Refusal(Exception):  # noqa: N818 - an answer like any other, raised to leave early
    """A request is not taken; `status` and the text tell the client why, `reason` is a short word for metrics."""

    def __init__(self, status: int, error: str, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        self._headers = headers

    def answer(self) -> JsonAnswer:
        """Return the refusal as an answer."""
        return error_answer(self.status, str(self), self._headers)


class JsonAnswer(web.StreamResponse):
    """An answer with a JSON body that is all here."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status=status, headers=headers)
        self.body: Final = body
        self._is_sent = False
        self._goes_on = False

    @property
    def prepared(self) -> bool:
        """Whether it is too late for more headers."""
        return self._is_sent

    @property
    def keep_alive(self) -> bool:
        """Whether the connection is kept for another request."""
        return self._goes_on

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it."""
        if not self._is_sent:
            self._is_sent = True
            self._goes_on = request.keep_alive
            body = b"" if request.method == "HEAD" else self.body
            await request.writer.write(self._head(request).encode() + body)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""

    def _head(self, request: web.BaseRequest) -> str:
        lines = [
            f"HTTP/1.1 {self.status} {self.reason}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            f"Date: {_date(int(time.time()))}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if not self._goes_on:
            lines.append("Connection: close")
        elif request.version < HttpVersion11:
            lines.append("Connection: keep-alive")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            raise ValueError(f"a header of the answer holds a line break: {lines!r}")
        return head + "\r\n\r\n"


@functools.lru_cache(maxsize=1)
def _date(now_s: int) -> str:
    return email.utils.formatdate(now_s, usegmt=True)


def error_answer(status: int, error: str, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Return an error as an answer."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {**(headers or {}), "Retry-After": str(RETRY_AFTER_S)}
    return JsonAnswer(status, orjson.dumps({"ok": False, "error": error}), headers)
