"""The HTTP application: its routes, and how its connections are served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from gateway import openapi
from gateway.access import Access
from gateway.connections import KEEPALIVE_S, Connections, GuardedSite
from gateway.daily_reader import DailyReader, Reader
from gateway.enrol import Enrolment
from gateway.guard import guard
from gateway.health import health, ready_handler
from gateway.ingest import Ingest
from gateway.lake_days import LakeDays
from gateway.live import Live
from gateway.metrics import Metrics
from gateway.pages import Pages
from gateway.publish import Publisher
from gateway.settings import Settings
from gateway.shown_days import ShownDays
from gateway.tracing import Tracing

METRICS: Final = web.AppKey("metrics", Metrics)
ACCESS: Final = web.AppKey("access", Access)
READER: Final = web.AppKey("reader", Reader)
CONNECTIONS: Final = web.AppKey("connections", Connections)
SETTINGS: Final = web.AppKey("settings", Settings)

#: Requests may use these beyond what CORS always allows; Authorization is for tokens.
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "7200",
}
#: A browser's question whether a page may reach into the local network, and the answer.
_ASKS_PRIVATE_NETWORK: Final = "Access-Control-Request-Private-Network"
_ALLOWS_PRIVATE_NETWORK: Final = "Access-Control-Allow-Private-Network"
#: How long a connection is read on after a refusal, so that the client sees it.
_LINGERING_S: Final = 2.0
#: A request waits at most 4 s for the broker; with what follows the whole stop stays under 10 s.
_SHUTDOWN_TIMEOUT_S: Final = 4.5
#: How often late connections are cut off, and files of keys and lists looked at.
_LOOK_S: Final = 1.0


def build_app(
    settings: Settings,
    publisher: Publisher,
    *,
    reader: Reader | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
    tracing: Tracing | None = None,
) -> web.Application:
    """Return the application; it starts and stops the publisher with itself."""
    if tracing is not None:
        publisher = tracing.publisher(publisher)
    metrics = Metrics(publisher)
    access = Access(settings)
    connections = Connections(settings, metrics.count_refusal)
    ingest = Ingest(publisher, metrics, access, settings, clock_ns=clock_ns)

    async def publisher_runs(_: web.Application) -> AsyncIterator[None]:
        await publisher.start()
        yield
        await publisher.stop()

    app = web.Application(middlewares=[guard(settings, metrics, connections)])
    app[METRICS], app[ACCESS], app[CONNECTIONS], app[SETTINGS] = metrics, access, connections, settings
    app.cleanup_ctx.extend((publisher_runs, _repeating(access.refresh), _repeating(connections.sweep)))
    if tracing is not None:
        app.cleanup_ctx.append(tracing.run)
    app.router.add_post("/ingest", ingest.handle if tracing is None else tracing.handler(ingest.handle))
    app.router.add_route("OPTIONS", "/ingest", _preflight)
    app.router.add_post("/enroll", Enrolment(settings, access).handle)
    app.router.add_route("OPTIONS", "/enroll", _preflight)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready_handler(publisher))
    app.router.add_get("/openapi.json", openapi.handler(settings))
    if settings.live:
        _add_live(app, reader or DailyReader(settings.brokers, settings.group, settings.live_rows))
    else:
        app.router.add_get("/", _greet)
    return app


def _add_live(app: web.Application, reader: Reader) -> None:
    """Add the live page and what it asks for."""
    settings = app[SETTINGS]
    lake = LakeDays(settings.lake, settings.s3_endpoint, settings.live_rows) if settings.lake else None
    days = ShownDays(reader, lake)
    live, pages = Live(settings, app[ACCESS], days, app[METRICS]), Pages(app[ACCESS])
    app[READER] = reader
    app.cleanup_ctx.append(days.run)
    app.on_shutdown.append(live.stop)
    app.router.add_get("/", pages.index)
    app.router.add_get("/page/{name:.+}", pages.file)
    app.router.add_get("/live", live.stream, allow_head=False)
    app.router.add_get("/api/daily", live.daily)
    app.router.add_get("/api/days", live.days)


def app_runner(app: web.Application) -> web.AppRunner:
    """Return the application's runner, set as the rules here need it: bodies come as they were sent."""
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=app[SETTINGS].max_header_bytes,
        max_field_size=app[SETTINGS].max_header_bytes,
        lingering_time=_LINGERING_S,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )


def site(
    runner: web.AppRunner, host: str, port: int, backlog: int = 128, sock: socket.socket | None = None
) -> GuardedSite:
    """Return the place where an application's runner listens; with `sock` on that one, of this host and port."""
    return GuardedSite(runner, runner.app[CONNECTIONS], (host, port), backlog, sock)


def _repeating(act: Callable[[], None]) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return what does something every `_LOOK_S` while an application runs."""

    async def run(_: web.Application) -> AsyncIterator[None]:
        async def repeat() -> None:
            while True:
                await asyncio.sleep(_LOOK_S)
                act()

        task = asyncio.create_task(repeat())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return run


async def _preflight(request: web.Request) -> web.Response:
    headers = dict(_PREFLIGHT_HEADERS)
    if _ASKS_PRIVATE_NETWORK in request.headers:
        headers[_ALLOWS_PRIVATE_NETWORK] = "true"
    return web.Response(status=204, headers=headers)


async def _greet(_: web.Request) -> web.Response:
    return web.Response(text="Watchtime gateway: POST events to /ingest\n")
