"""Connections, before there is a request: how many there may be, and how long headers may take.

aiohttp limits the size of headers and drops connections that rest between requests; a client that sends its
headers a byte at a time, or opens connections and says nothing, is up to this module. It stands between the
transport and aiohttp's protocol, hands everything on, and keeps a deadline for each connection.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.addresses import Proxies
from gateway.settings import Settings

#: How long an idle connection is kept between requests.
KEEPALIVE_S: Final = 75
#: What ends the headers of a request.
_END: Final = b"\r\n\r\n"
_COMPLETE: Final = -1
_TOO_LONG_BODY: Final = b'{"ok":false,"error":"Headers too large"}'
_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
) % (len(_TOO_LONG_BODY), _TOO_LONG_BODY)
_PER_ADDRESS: Final = 200

Factory = Callable[[], asyncio.Protocol]


class Connections:
    """All connections of a gateway."""

    def __init__(self, settings: Settings, refused: Callable[[str], None]) -> None:
        self.header_timeout_s: Final = settings.header_timeout_s
        self.max_headers_bytes: Final = settings.max_all_headers_bytes
        self._most = settings.max_connections
        self._most_per_address = settings.limit("connections_per_address", _PER_ADDRESS)
        self._proxies = Proxies(settings.trusted_proxies)
        self._refused = refused
        self._guarded: dict[object, Guarded] = {}
        self._by_address: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Whether one more connection from an address may stay."""
        if self._most and len(self._guarded) >= self._most:
            self._refused("connections")
            return False
        limit = self._most_per_address
        if limit and self._by_address[address] >= limit and address not in self._proxies:
            self._refused("connections_address")
            return False
        return True

    def add(self, inner: asyncio.Protocol, connection: Guarded) -> None:
        """Take in an admitted connection."""
        self._guarded[inner] = connection
        self._by_address[connection.address] += 1

    def remove(self, inner: asyncio.Protocol, connection: Guarded) -> None:
        """Forget a connection that was lost."""
        del self._guarded[inner]
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]

    def begin(self, request: web.Request) -> Guarded | None:
        """Note that a request's headers are complete; return its connection for `end`."""
        connection = self._guarded.get(request.protocol)
        if connection is not None:
            connection.deadline_s = None
            connection.resting = False
            connection.headers_bytes = _COMPLETE
            connection.body = request.content
        return connection

    def end(self, connection: Guarded) -> None:
        """Note that a request of a connection was answered."""
        connection.deadline_s = time.monotonic() + KEEPALIVE_S + self.header_timeout_s
        connection.resting = True

    def sweep(self) -> None:
        """Cut off those whose time is over."""
        now_s = time.monotonic()
        late = [one for one in self._guarded.values() if one.deadline_s is not None and one.deadline_s < now_s]
        for connection in late:
            self._refused("header_time")
            connection.cut()

    def refuse_headers(self, connection: Guarded) -> None:
        """Turn away a request whose headers are too long together."""
        self._refused("headers_bytes")
        connection.say(_TOO_LONG)


class Guarded(asyncio.Protocol):
    """One connection: aiohttp's protocol behind a deadline."""

    __slots__ = (
        "_factory",
        "_inner",
        "_of",
        "_tail",
        "_transport",
        "address",
        "body",
        "deadline_s",
        "headers_bytes",
        "resting",
    )

    def __init__(self, of: Connections, factory: Factory) -> None:
        self._of = of
        self._factory = factory
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self.address = ""
        #: When it is cut off (monotonic seconds); None: a request is being answered.
        self.deadline_s: float | None = None
        #: Whether the latest request was answered, and nothing of the next one is here.
        self.resting = False
        #: Its body: what comes before the end of it is no header, even after the answer.
        self.body: StreamReader = EMPTY_PAYLOAD
        #: Bytes of headers that have come of a request; _COMPLETE: all.
        self.headers_bytes = 0
        #: The last of them, as the end of all headers may be cut in two.
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection or close it."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if not self._of.admit(self.address):
            self._transport.abort()
            return
        self._inner = self._factory()
        self._of.add(self._inner, self)
        self.deadline_s = time.monotonic() + self._of.header_timeout_s
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand on; the first bytes of a request start the clock of its headers."""
        if self.resting and self.body.is_eof():
            self.resting = False
            self.deadline_s = time.monotonic() + self._of.header_timeout_s
            self.headers_bytes = 0
        if self.headers_bytes != _COMPLETE and not self._count_headers(data):
            self._of.refuse_headers(self)
        elif self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._inner.eof_received() if self._inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on and forget."""
        if self._inner is not None:
            self._of.remove(self._inner, self)
            self._inner.connection_lost(exc)
            self._inner = None

    def pause_writing(self) -> None:
        """Hand on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def _count_headers(self, data: bytes) -> bool:
        """Return whether the headers of a request are still short enough."""
        end = (self._tail + data if self._tail else data).find(_END)
        if end >= 0:
            self.headers_bytes += end - len(self._tail)
            self._tail = b""
        else:
            self.headers_bytes += len(data)
            self._tail = (self._tail + data)[1 - len(_END) :]
        if self.headers_bytes > self._of.max_headers_bytes:
            return False
        if end >= 0:
            self.headers_bytes = _COMPLETE
        return True

    def say(self, answer: bytes) -> None:
        """End the connection with an answer, and hear nothing more."""
        self.deadline_s = time.monotonic() + self._of.header_timeout_s
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def cut(self) -> None:
        """End the connection without a word."""
        self.deadline_s = None
        if self._transport is not None:
            self._transport.abort()


class GuardedSite(web.BaseSite):
    """Listens on an address, every connection guarded."""

    def __init__(
        self,
        runner: web.AppRunner,
        connections: Connections,
        address: tuple[str, int],
        backlog: int,
        sock: socket.socket | None = None,
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._connections = connections
        self._host, self._port = address
        self._sock = sock

    @property
    def name(self) -> str:
        """URL of the site."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Begin to listen."""
        await super().start()
        server = self._runner.server
        assert server is not None  # noqa: S101 - the runner was set up
        loop, factory = asyncio.get_running_loop(), lambda: Guarded(self._connections, server)
        if self._sock is not None:
            self._server = await loop.create_server(factory, sock=self._sock, backlog=self._backlog)
        else:
            self._server = await loop.create_server(factory, self._host, self._port, backlog=self._backlog)
