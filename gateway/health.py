"""GET /health (the process lives) and GET /ready (the broker takes events), for supervisors and balancers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from gateway.answers import error_answer, json_answer
from gateway.publish import Publisher

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def health(_: web.Request) -> web.StreamResponse:
    """Answer that the process lives, whatever the broker does."""
    return json_answer(200, orjson.dumps({"ok": True, "stage": "gateway"}))


def ready_handler(publisher: Publisher) -> Handler:
    """Return the handler of GET /ready."""

    async def ready(_: web.Request) -> web.StreamResponse:
        if publisher.ready:
            return json_answer(200, b'{"ok":true}')
        return error_answer(503, "The broker cannot be reached")

    return ready
