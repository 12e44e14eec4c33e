"""The HTTP application: routes, and what goes for every request (who may call, errors as JSON, CORS)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway import openapi
from gateway.access import Access
from gateway.answers import Refusal, error_answer
from gateway.connections import KEEPALIVE_S, Connections, GuardedSite
from gateway.daily_reader import DailyReader, Reader
from gateway.enrol import Enrolment
from gateway.health import health, ready_handler
from gateway.ingest import Ingest
from gateway.lake_days import LakeDays
from gateway.live import Live
from gateway.metrics import Metrics
from gateway.origins import Origins
from gateway.pages import Pages
from gateway.publish import Publisher
from gateway.settings import Settings
from gateway.shown_days import ShownDays

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
#: Pages of other origins may read the answers of these, as far as they are allowed; what was watched is not for them.
_FOR_OTHER_ORIGINS: Final = frozenset({"/ingest", "/enroll", "/health", "/ready"})
#: A browser's question whether a page may reach into the local network, and the answer.
_ASKS_PRIVATE_NETWORK: Final = "Access-Control-Request-Private-Network"
_ALLOWS_PRIVATE_NETWORK: Final = "Access-Control-Allow-Private-Network"
#: How long a connection is read on after a refusal, so that the client sees it.
_LINGERING_S: Final = 2.0
#: A request waits at most 4 s for the broker; with what follows the whole stop stays under 10 s.
_SHUTDOWN_TIMEOUT_S: Final = 4.5

log = structlog.get_logger(__name__)


def build_app(
    settings: Settings,
    publisher: Publisher,
    *,
    reader: Reader | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
) -> web.Application:
    """Return the application; it starts and stops the publisher with itself."""
    metrics = Metrics(publisher)
    access = Access(settings)
    connections = Connections(settings, metrics.count_refusal)
    ingest = Ingest(publisher, metrics, access, settings, clock_ns=clock_ns)

    async def publisher_runs(_: web.Application) -> AsyncIterator[None]:
        await publisher.start()
        yield
        await publisher.stop()

    app = web.Application(middlewares=[_guard(Origins(settings), metrics, connections)])
    app[METRICS], app[ACCESS], app[CONNECTIONS], app[SETTINGS] = metrics, access, connections, settings
    app.cleanup_ctx.extend((publisher_runs, access.run, connections.run))
    app.router.add_post("/ingest", ingest.handle)
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


def site(runner: web.AppRunner, host: str, port: int, backlog: int = 128) -> GuardedSite:
    """Return the place where an application's runner listens."""
    return GuardedSite(runner, runner.app[CONNECTIONS], host, port, backlog)


async def _preflight(request: web.Request) -> web.Response:
    headers = dict(_PREFLIGHT_HEADERS)
    if _ASKS_PRIVATE_NETWORK in request.headers:
        headers[_ALLOWS_PRIVATE_NETWORK] = "true"
    return web.Response(status=204, headers=headers)


async def _greet(_: web.Request) -> web.Response:
    return web.Response(text="Watchtime gateway: POST events to /ingest\n")


def _guard(origins: Origins, metrics: Metrics, connections: Connections) -> Middleware:
    """Return the middleware around every handler."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        connection = connections.begin(request)
        headers = request.headers
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if not origins.host_allowed(host):
            response: web.StreamResponse = error_answer(403, "This Host is not the gateway's")
            metrics.count_refusal("host")
        elif not origins.origin_allowed(origin, host):
            response = error_answer(403, "Pages of this Origin may not use the gateway")
            metrics.count_refusal("origin")
        else:
            response = await _answer(request, handler, metrics)
            if origin is not None and request.path in _FOR_OTHER_ORIGINS:
                response.headers["Access-Control-Allow-Origin"] = origins.allow_origin(origin)
                response.headers["Vary"] = "Origin"
        if request.path == "/ingest" and request.method == "POST":
            metrics.count_answer(response.status, time.perf_counter() - started)
        if connection is not None:
            connections.end(connection)
        return response

    return guard


async def _answer(request: web.Request, handler: Handler, metrics: Metrics) -> web.StreamResponse:
    """Return the handler's answer; whatever it raises becomes one, unless the client is gone."""
    try:
        return await handler(request)
    except Refusal as refusal:
        metrics.count_refusal(refusal.reason)
        return refusal.answer()
    except web.HTTPException as error:  # no such path (404), no such method (405), an odd Expect (417)
        allow = error.headers.get("Allow")
        return error_answer(error.status, error.reason, {"Allow": allow} if allow else None)
    except web.RequestPayloadError:
        return error_answer(400, "The body breaks off or is badly framed")
    except ConnectionError:
        raise
    except Exception:
        request_id = secrets.token_hex(8)
        log.exception("unexpected error", method=request.method, path=request.path, request_id=request_id)
        return error_answer(500, "Internal error", {"X-Request-Id": request_id})
