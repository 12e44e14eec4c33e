"""The HTTP application: routes, and what goes for every request (who may call, errors as JSON, CORS)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.answers import Refusal, error_answer
from gateway.health import health, ready_handler
from gateway.ingest import Ingest
from gateway.metrics import Metrics
from gateway.origins import Origins
from gateway.publish import Publisher
from gateway.settings import Settings

METRICS: Final = web.AppKey("metrics", Metrics)

#: Requests may use these beyond what CORS always allows; Authorization is for tokens.
_PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "7200",
}
#: A browser's question whether a page may reach into the local network, and the answer.
_ASKS_PRIVATE_NETWORK: Final = "Access-Control-Request-Private-Network"
_ALLOWS_PRIVATE_NETWORK: Final = "Access-Control-Allow-Private-Network"
#: How long an idle connection is kept, and how long one is read on after a refusal, so that the client sees it.
_KEEPALIVE_S: Final = 75.0
_LINGERING_S: Final = 2.0
#: A request waits at most 4 s for the broker; with what follows the whole stop stays under 10 s.
_SHUTDOWN_TIMEOUT_S: Final = 4.5

log = structlog.get_logger(__name__)


def build_app(
    settings: Settings, publisher: Publisher, *, clock_ns: Callable[[], int] = time.time_ns
) -> web.Application:
    """Return the application; it starts and stops the publisher with itself."""
    metrics = Metrics(publisher)
    ingest = Ingest(publisher, metrics, max_in_flight_bytes=settings.max_in_flight_mib * 1024 * 1024, clock_ns=clock_ns)

    async def publisher_runs(_: web.Application) -> AsyncIterator[None]:
        await publisher.start()
        yield
        await publisher.stop()

    app = web.Application(middlewares=[_guard(Origins(settings), metrics)])
    app[METRICS] = metrics
    app.cleanup_ctx.append(publisher_runs)
    app.router.add_post("/ingest", ingest.handle)
    app.router.add_route("OPTIONS", "/ingest", _preflight)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready_handler(publisher))
    app.router.add_get("/", _greet)
    return app


def app_runner(app: web.Application) -> web.AppRunner:
    """Return the application's runner, set as the rules here need it: bodies come as they were sent."""
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=_KEEPALIVE_S,
        lingering_time=_LINGERING_S,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
    )


async def _preflight(request: web.Request) -> web.Response:
    headers = dict(_PREFLIGHT_HEADERS)
    if _ASKS_PRIVATE_NETWORK in request.headers:
        headers[_ALLOWS_PRIVATE_NETWORK] = "true"
    return web.Response(status=204, headers=headers)


async def _greet(_: web.Request) -> web.Response:
    return web.Response(text="Watchtime gateway: POST events to /ingest\n")


def _guard(origins: Origins, metrics: Metrics) -> Middleware:
    """Return the middleware around every handler."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        headers = request.headers
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if not origins.host_allowed(host):
            response: web.StreamResponse = error_answer(403, "This Host is not the gateway's")
        elif not origins.origin_allowed(origin, host):
            response = error_answer(403, "Pages of this Origin may not use the gateway")
        else:
            response = await _answer(request, handler)
            if origin is not None:
                response.headers["Access-Control-Allow-Origin"] = origins.allow_origin(origin)
                response.headers["Vary"] = "Origin"
        if request.path == "/ingest" and request.method == "POST":
            metrics.count_answer(response.status, time.perf_counter() - started)
        return response

    return guard


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return the handler's answer; whatever it raises becomes one, unless the client is gone."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.answer()
    except web.HTTPException as error:  # no such path (404), no such method (405), an odd Expect (417)
        allow = error.headers.get("Allow")
        return error_answer(error.status, error.reason, {"Allow": allow} if allow else None)
    except web.RequestPayloadError:
        return error_answer(400, "The body breaks off or is badly framed")
    except ConnectionError:
        raise
    except Exception:
        log.exception("unexpected error", method=request.method, path=request.path)
        return error_answer(500, "Internal error")
