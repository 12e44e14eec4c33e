"""What goes for every request: who may call (Host, Origin), errors as JSON, CORS, its id, and what is told of it."""

from __future__ import annotations

import time
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway import request_ids
from gateway.answers import Refusal, error_answer
from gateway.connections import Connections
from gateway.metrics import Metrics
from gateway.origins import Origins
from gateway.settings import Settings

#: Pages of other origins may read the answers of these, as far as they are allowed; what was watched is not for them.
_FOR_OTHER_ORIGINS: Final = frozenset({"/ingest", "/enroll", "/health", "/ready"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

log = structlog.get_logger(__name__)


def guard(settings: Settings, metrics: Metrics, connections: Connections) -> Middleware:
    """Return the middleware around every handler."""
    origins = Origins(settings)
    ids = request_ids.RequestIds()

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        connection = connections.begin(request)
        headers = request.headers
        request_id = ids.begin(headers.get(request_ids.HEADER))
        host, origins_named = headers.get("Host", ""), headers.getall("Origin", ())
        # No browser names two, and who sends two must not choose which of them is looked at.
        origin = ", ".join(origins_named) if origins_named else None
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
                response.headers["Access-Control-Expose-Headers"] = "Retry-After"
                response.headers["Vary"] = "Origin"
        if not response.prepared:
            response.headers[request_ids.HEADER] = request_id
        seconds = time.perf_counter() - started
        if request.path == "/ingest" and request.method == "POST":
            metrics.count_answer(response.status, seconds)
        if settings.access_log:
            log.info("request", **_about(request), status=response.status, ms=round(seconds * 1_000, 2))
        if connection is not None:
            connections.end(connection)
        return response

    return guarded


async def _answer(request: web.Request, handler: Handler, metrics: Metrics) -> web.StreamResponse:
    """Return the handler's answer; whatever it raises becomes one, unless the client is gone."""
    try:
        return await handler(request)
    except Refusal as refusal:
        metrics.count_refusal(refusal.reason)
        return refusal.answer()
    except web.HTTPException as error:  # no such path (404), no such method (405)
        allow = error.headers.get("Allow")
        return error_answer(error.status, error.reason, {"Allow": allow} if allow else None)
    except web.RequestPayloadError:
        return error_answer(400, "The body breaks off or is badly framed")
    except ConnectionError:
        raise
    except Exception:
        log.exception("unexpected error", **_about(request))
        return error_answer(500, "Internal error")


def _about(request: web.Request) -> dict[str, str]:
    """Return what a log may hold of a request: what was asked for, but nothing that the client made up."""
    resource = request.match_info.route.resource
    return {
        "method": request.method if request.method in _METHODS else "other",
        "route": resource.canonical if resource is not None else "none",
    }
