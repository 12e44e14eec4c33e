"""The live page's files: they travel with the distribution, run nothing from elsewhere, and only viewers get them."""

from __future__ import annotations

import base64
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gateway import pages
from tests.unit.gateway.running import Gateway
from tests.unit.gateway.shown_day import fill, get
from tests.unit.gateway.test_gateway_auth import files  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[3]


def test_every_file_that_is_served_is_packaged_and_the_library_has_its_licence():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["gateway"]
    served = {f"page/{name}" for name in pages._FILES}
    there = {str(path.relative_to(ROOT / "gateway")) for path in (ROOT / "gateway/page").rglob("*") if path.is_file()}

    assert served | {"page/uplot/LICENSE"} == there
    assert {name for name in there if not any(fnmatch(name, pattern) for pattern in patterns)} == set()


def test_pages_fit_their_purpose():
    sizes = {name: (ROOT / "gateway/page" / name).stat().st_size for name in pages._FILES}

    assert sum(sizes.values()) < 100_000


async def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(shown: Gateway):
    status, text, response = await get(shown, "/")

    policy = response.headers["Content-Security-Policy"]
    assert (status, response.content_type) == (200, "text/html")
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "style=" not in text
    assert (
        " on" not in text.replace(" on ", "").replace(" once", "").lower().partition("<body")[2].partition("<script")[2]
    )
    assert text.count("<script") == text.count("<script src=") == 2
    pictures = (await get(shown, "/?pictures=youtube"))[2].headers["Content-Security-Policy"]
    assert "img-src 'self' https://i.ytimg.com;" in pictures


@pytest.mark.parametrize("name", ["live.js", "bars.js", "chart.js", "words.js"])
async def test_no_script_of_the_page_writes_markup(shown: Gateway, name):
    status, text, response = await get(shown, f"/page/{name}")

    assert (status, response.content_type) == (200, "text/javascript")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in text


@pytest.mark.parametrize(
    "path", ["/page/../settings.py", "/page/%2e%2e/settings.py", "/page/", "/page/live.html/", "/page//etc/passwd"]
)
async def test_nothing_but_the_pages_files_is_served(shown: Gateway, path):
    assert (await get(shown, path))[0] == 404


async def test_a_file_that_the_browser_has_is_not_sent_again(shown: Gateway):
    tag = (await get(shown, "/page/live.css"))[2].headers["ETag"]

    assert (await get(shown, "/page/live.css", **{"If-None-Match": tag}))[0] == 304


async def test_pages_of_other_origins_may_post_but_not_read_what_was_watched(start_gateway):
    gateway = await start_gateway(cors_origins=frozenset({"*"}))
    fill(gateway)
    for path in ("/api/daily", "/api/days", "/"):
        response = (await get(gateway, path, Origin="https://evil.example"))[2]
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", ["/", "/live", "/api/daily", "/api/days", "/page/live.js"])
async def test_with_authentication_only_viewers_look(start_gateway, files, tmp_path, path):  # noqa: F811
    (tmp_path / "viewers").write_text("anna:geheim ü\n")
    gateway = await start_gateway(**files, viewers_file=tmp_path / "viewers")
    fill(gateway)

    async def status(given: str | None) -> int:
        headers = {"Authorization": f"Basic {base64.b64encode(given.encode()).decode()}"} if given else {}
        async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
            if response.status == 401:
                assert response.headers["WWW-Authenticate"].startswith("Basic ")
            return response.status

    assert await status(None) == 401
    assert await status("anna:wrong") == 401
    assert await status("anna:geheim ü") == 200
    guesses = [await status(f"anna:{n}") for n in range(12)]
    assert guesses[-1] == 429


async def test_a_gateway_may_have_no_page(start_gateway):
    gateway = await start_gateway(live=False)

    assert (await get(gateway, "/"))[0] == 200
    assert (await get(gateway, "/live"))[0] == 404
