"""Fixtures of the browser tests: the fake site, the gateway, and a browser with the extension for each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.background_loop import BackgroundLoop
from tests.e2e.browser import Browser
from tests.e2e.fake_youtube.server import FakeYouTube, make_media
from tests.e2e.ingest import IngestServer
from tests.e2e.lake import Lake
from tests.servers import unavailable

EXTENSION = Path(__file__).parents[2] / "extension"


@pytest.fixture(scope="session")
def background() -> Iterator[BackgroundLoop]:
    """The servers' loop."""
    loop = BackgroundLoop()
    yield loop
    loop.stop()


@pytest.fixture(scope="session")
def site_server(background: BackgroundLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeYouTube]:
    """The fake site."""
    missing = [name for name in ("chromium", "chromedriver", "ffmpeg", "openssl") if shutil.which(name) is None]
    if missing:
        unavailable(f"{', '.join(missing)} not on this machine (Debian: chromium chromium-driver ffmpeg openssl)")
    folder = tmp_path_factory.mktemp("site")
    make_media(folder)
    server = FakeYouTube(folder)
    background.run(server.start())
    yield server
    background.run(server.stop())


@pytest.fixture
def site(site_server: FakeYouTube) -> FakeYouTube:
    """The fake site with an empty truth."""
    site_server.forget()
    return site_server


@pytest.fixture(scope="session")
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake | None]:
    """A stack behind the gateway where WATCHTIME_E2E_LAKE is set: every comparison then goes on to the daily files."""
    if not os.environ.get("WATCHTIME_E2E_LAKE"):
        yield None
        return
    request.getfixturevalue("cache")
    request.getfixturevalue("java")
    lake = Lake(tmp_path_factory.mktemp("stack"))
    lake.up()
    yield lake
    lake.down()


@pytest.fixture
def ingest(background: BackgroundLoop, lake: Lake | None) -> Iterator[IngestServer]:
    """A gateway of this test's own."""
    server = IngestServer(background, lake)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def browser(site: FakeYouTube, ingest: IngestServer, tmp_path: Path) -> Iterator[Browser]:
    """A fresh browser whose person has agreed."""
    browser = Browser(tmp_path / "profile", EXTENSION, site.port)
    browser.start()
    try:
        browser.set_up(ingest.address)
        yield browser
    finally:
        browser.quit()
