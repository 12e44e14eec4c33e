"""Fixtures of the live page's tests: a gateway with a day to show, and a browser that shows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO
from tests.background_loop import BackgroundLoop
from tests.e2e.live_page.screen import BEFORE, HOUR_MS, screen, shows
from tests.live_gateway import LiveGateway
from tests.servers import unavailable


@pytest.fixture
def live(background: BackgroundLoop) -> Iterator[LiveGateway]:
    gateway = LiveGateway(background)
    gateway.put(VIDEO, "dQw4w9WgXcQ", [2 * HOUR_MS, HOUR_MS, 3, 65_000], channel="Anna")
    gateway.put(VIDEO, "short", [60_000, 0, 1, 0])
    gateway.put(CHANNEL, "Anna", [2 * HOUR_MS, HOUR_MS, 3, 65_000])
    gateway.put(HOUR, "7", [2 * HOUR_MS + 60_000, HOUR_MS, 4, 65_000])
    gateway.put(INGEST, "", [1_234, 1_234, 0, 0, 0, 5, 0])
    gateway.put(VIDEO, "old-video", [5_000, 0, 1, 0], dt=BEFORE)
    gateway.put(HOUR, "3", [5_000, 0, 1, 0], dt=BEFORE)
    gateway.know({"rate": 12.4, "lag": 0, "files_behind": 7, "files_ts": None, "rejected": 3})
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        unavailable(f"{', '.join(missing)} not on this machine (Debian: chromium chromium-driver)")
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: webdriver.Chrome, live: LiveGateway) -> webdriver.Chrome:
    """The page, once it shows the day."""
    screen(driver, 1200, 900)
    driver.get("about:blank")
    driver.get_log("browser")  # empties it of what the page before had to say
    driver.get(live.url)
    shows(driver, "watched", "3 h 01 min")
    return driver
