"""A web site that behaves as YouTube's pages do, and keeps what the pages say they really played.

Served over TLS with a certificate made for the session; the browser is told to find www.youtube.com here.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

from aiohttp import web

HERE: Final = Path(__file__).parent
#: Media by name: seconds. They carry a tone, since browsers pause silent videos of hidden tabs.
MEDIA_S: Final = {"long": 120, "short": 6, "ad": 4}

_CHANNELS: Final = {
    "channel": "Channel One",
    "handle": "@one",
    "channel_id": "UCone4567890123456789012",
}
_OTHER: Final = {"channel": "Канал Два & Söhne", "handle": "@two", "channel_id": "UCtwo4567890123456789012"}
#: Videos by id, as site.js understands them. Ids are 11 characters, as YouTube's.
VIDEOS: Final[dict[str, dict[str, Any]]] = {
    "plain000001": {**_CHANNELS},
    "plain000002": {**_OTHER},
    "plain000003": {**_CHANNELS},
    "plain000004": {**_OTHER},
    "plain000005": {**_CHANNELS},
    "adbefore001": {**_CHANNELS, "ads": ["before", "before"]},
    "admiddle001": {**_OTHER, "ads": ["before", 4]},
    "shortvideo1": {**_CHANNELS, "media": "short", "loop": True},
    "shortvideo2": {**_OTHER, "media": "short", "loop": True},
    "shortvideo3": {**_CHANNELS, "media": "short", "loop": True},
    "livestream1": {**_OTHER, "live": True},
    "playlist001": {**_CHANNELS, "media": "short", "next": "playlist002"},
    "playlist002": {**_OTHER, "media": "short", "next": "playlist003"},
    "playlist003": {**_CHANNELS},
    "latechannel": {**_OTHER, "late_channel_ms": 1_800, "mute_player": True},
    "nochannel01": {"mute_player": True},
}


class FakeYouTube:
    """The site and the truth it was told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner: web.AppRunner | None = None
        self._truth: dict[str, dict[str, Any]] = {}
        self.port = 0

    async def start(self) -> None:
        """Serve on a free port."""
        app = web.Application()
        app.router.add_post("/truth", self._hear)
        app.router.add_static("/media", self._folder)
        app.router.add_static("/static", HERE)
        app.router.add_get("/favicon.ico", _nothing)
        app.router.add_get("/article/{video}", _article)
        app.router.add_get("/{path:.*}", _page)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=_certificate(self._folder))
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def forget(self) -> None:
        """Begin a new truth."""
        self._truth = {}

    def truth_ms(self, measure: str = "wall") -> Counter[tuple[str, str]]:
        """Return what really played, by video and kind (fg, bg, ad), over all pages; measure: wall or media."""
        total: Counter[tuple[str, str]] = Counter()
        for told in self._truth.values():
            for key, ms in told[measure].items():
                video, kind = key.split("|")
                total[video, kind] += ms
        return total

    async def _hear(self, request: web.Request) -> web.Response:
        told = json.loads(await request.text())
        self._truth[told["page"]] = told
        return web.Response(status=204)


async def _page(_: web.Request) -> web.Response:
    html = (HERE / "page.html").read_text()
    return web.Response(text=html.replace("__VIDEOS__", json.dumps(VIDEOS)), content_type="text/html")


async def _article(request: web.Request) -> web.Response:
    """Show another site's page with a player in it."""
    source = f"https://www.youtube.com/embed/{request.match_info['video']}"
    html = f'<!doctype html><title>An article</title><iframe src="{source}" allow="autoplay" width="600" height="400">'
    return web.Response(text=html, content_type="text/html")


async def _nothing(_: web.Request) -> web.Response:
    return web.Response(status=204)


def make_media(folder: Path) -> None:
    """Make the videos: tiny, with a quiet tone, keyframes twice a second so that seeking is exact."""
    encoded = folder / "two-seconds.webm"
    _ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10:duration=2"),
        *("-f", "lavfi", "-i", "sine=frequency=220:duration=2"),
        *("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "60k", "-g", "5"),
        *("-c:a", "libopus", "-b:a", "24k", "-filter:a", "volume=0.05", str(encoded)),
    )
    for name, seconds in MEDIA_S.items():
        # Encoded once and repeated: encoding minutes takes longer than the tests that show them.
        again = ("-stream_loop", str(seconds // 2 - 1), "-i", str(encoded), "-c", "copy")
        _ffmpeg(*again, str(folder / f"{name}.webm"))


def _ffmpeg(*words: str) -> None:
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *words], check=True)  # noqa: S603, S607 - fixed words


def _certificate(folder: Path) -> ssl.SSLContext:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(  # noqa: S603 - fixed words
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=www.youtube.com", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
