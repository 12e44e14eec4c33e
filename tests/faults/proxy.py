"""A TCP proxy on loopback that delays, cuts, half-closes and swallows; one of S3 that also refuses and spoils PUTs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Literal

from deploy.local.ports import LOOPBACK

_CHUNK = 64 * 1024


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        #: Something of the server's answer was swallowed: what follows makes no sense to the client any more.
        self.broken = False

    def abort(self) -> None:
        """Cut both ends at once, as a lost cable with a reset does."""
        for writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Hands connections to `port` on to `target`; the attributes and methods are the faults."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        #: Seconds that every piece waits, in both directions.
        self.delay_s = 0.0
        #: Requests go through and are done, answers do not come back.
        self.swallow_answers = False
        #: Nobody listens, as far as a new client can tell.
        self.refuse = False
        self._target = target
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection."""
        for link in list(self._links):
            link.abort()

    def half_close(self, pick: random.Random) -> None:
        """End one direction of every connection; the other one stays open."""
        for link in list(self._links):
            writer = pick.choice((link.client, link.server))
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()

    def heal(self) -> None:
        """End all faults; connections with a swallowed answer are cut, they are of no use any more."""
        self.delay_s = 0.0
        self.swallow_answers = self.refuse = False
        for link in list(self._links):
            if link.broken:
                link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._requests(link, reader),
                self._answers(link, server_reader),
            )
        except (OSError, RuntimeError):
            # The latter: more came in for an end that was half-closed.
            link.abort()
        finally:
            self._links.discard(link)
            for end in (writer, server_writer):
                end.close()

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if not await self.request(link, data):
                return
        _end(link.server)

    async def request(self, link: _Link, data: bytes) -> bool:
        """Hand a piece of a request on; False when the connection is over."""
        link.server.write(data)
        await link.server.drain()
        return True

    async def _answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.swallows(link, data):
                link.broken = True
                continue
            link.client.write(data)
            await link.client.drain()
        _end(link.client)

    def swallows(self, link: _Link, data: bytes) -> bool:  # noqa: ARG002 - the S3 proxy looks at it
        """Whether a piece of an answer does not come back."""
        return self.swallow_answers or link.broken


def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


S3Fault = Literal["500", "503", "412", "507", "no-answer", "cut-body", "cut-answer"]
S3_FAULTS: tuple[S3Fault, ...] = ("500", "503", "412", "507", "no-answer", "cut-body", "cut-answer")
_CODES = {
    "500": "500 Internal Server Error|InternalError",
    "503": "503 Slow Down|SlowDown",
    "412": "412 Precondition Failed|PreconditionFailed",
    "507": "507 Insufficient Storage|InsufficientStorage",  # a full disk
}


class S3Proxy(Proxy):
    """A proxy before an S3 server that spoils some of the PUTs while `fault` is set."""

    def __init__(self, port: int, target: int, pick: random.Random) -> None:
        super().__init__(port, target)
        self.fault: S3Fault | None = None
        #: Share of PUTs that the fault hits.
        self.share = 0.5
        self.spoiled = 0
        self._pick = pick

    def heal(self) -> None:
        self.fault = None
        super().heal()

    async def request(self, link: _Link, data: bytes) -> bool:
        # A client sends a request at the start of a piece: it waits for the answer before the next one.
        if self.fault is None or not data.startswith(b"PUT ") or self._pick.random() >= self.share:
            return await super().request(link, data)
        self.spoiled += 1
        if self.fault in _CODES:
            link.client.write(_answer(*_CODES[self.fault].split("|")))
            await link.client.drain()
            link.client.close()
            link.server.close()
            return False
        if self.fault == "cut-body":
            await super().request(link, data[: len(data) // 2])
            link.abort()
            return False
        link.broken = True
        return await super().request(link, data)

    def swallows(self, link: _Link, data: bytes) -> bool:
        # The client sends the body when it is told to go on.
        if not link.broken or data.startswith(b"HTTP/1.1 100"):
            return super().swallows(link, data) and not data.startswith(b"HTTP/1.1 100")
        if self.fault == "cut-answer":
            link.abort()
        return True


def _answer(status: str, code: str) -> bytes:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
    head = f"HTTP/1.1 {status}", "Content-Type: application/xml", f"Content-Length: {len(body)}", "Connection: close"
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
