"""GET /health (the process lives) and GET /ready (the broker takes events), for supervisors and balancers."""

from __future__ import annotations

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.answers import JsonAnswer, error_answer
from gateway.publish import Publisher


async def health(_: web.Request) -> web.StreamResponse:
    """Answer that the process lives, whatever the broker does."""
    return JsonAnswer(200, orjson.dumps({"ok": True, "stage": "gateway"}))


def ready_handler(publisher: Publisher) -> Handler:
    """Return the handler of GET /ready."""

    async def ready(_: web.Request) -> web.StreamResponse:
        if publisher.ready:
            return JsonAnswer(200, b'{"ok":true}')
        return error_answer(503, "The broker cannot be reached")

    return ready
