"""The files of the live page, and the headers that keep anything else out of it.

Nothing on the page is inline and nothing comes from elsewhere, so the policy can forbid both: a name that finds its
way into the markup would still run nothing. Pictures from YouTube are allowed only where the viewer asked for them,
by `/?pictures=youtube`, because loading one tells YouTube what is looked at.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

from aiohttp import web

from gateway.access import Access

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FILES: Final = (
    "live.html",
    "live.js",
    "bars.js",
    "chart.js",
    "words.js",
    "live.css",
    "icon.svg",
    "uplot/uPlot.iife.min.js",
    "uplot/uPlot.min.css",
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'{pictures}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PICTURES: Final = " https://i.ytimg.com"


class Pages:
    """The page's files, read once."""

    def __init__(self, access: Access) -> None:
        self._access = access
        folder = resources.files("gateway") / "page"
        self._files: dict[str, bytes] = {name: (folder / name).read_bytes() for name in _FILES}
        self._tags = {name: f'"{hashlib.sha256(body).hexdigest()[:16]}"' for name, body in self._files.items()}

    async def index(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        self._access.demand_viewer(request)
        return self._answer(request, "live.html")

    async def file(self, request: web.Request) -> web.Response:
        """Answer with a file of the page."""
        self._access.demand_viewer(request)
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        return self._answer(request, name)

    def _answer(self, request: web.Request, name: str) -> web.Response:
        pictures = _PICTURES if request.query.get("pictures") == "youtube" else ""
        headers = {
            "Content-Security-Policy": _POLICY.format(pictures=pictures),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
            "ETag": self._tags[name],
        }
        if request.headers.get("If-None-Match") == self._tags[name]:
            return web.Response(status=304, headers=headers)
        media_type = _TYPES["." + name.rpartition(".")[2]]
        return web.Response(body=self._files[name], content_type=media_type, charset="utf-8", headers=headers)
