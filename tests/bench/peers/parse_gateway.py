"""The limit of a gateway here: aiohttp and uvloop, the body parsed, the answer sent; nothing checked, nothing kept.

Argument: port.
"""

from __future__ import annotations

import sys

import orjson
import uvloop
from aiohttp import web


async def ingest(request: web.Request) -> web.Response:
    """Parse and answer."""
    body = orjson.loads(await request.read())
    events = body.get("events", [body])
    answer = {"ok": True, "accepted": len(events), "rejected": 0, "errors": []}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def health(_: web.Request) -> web.Response:
    """Live while the process lives."""
    return web.json_response({"ok": True})


if __name__ == "__main__":
    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_post("/ingest", ingest)
    app.router.add_get("/health", health)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())
