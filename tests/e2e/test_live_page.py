"""The live page in a real browser: what a person sees, and that no name can run anything."""

from __future__ import annotations

import asyncio
import datetime
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from sinks.keys import FileKey
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO
from tests.background_loop import BackgroundLoop
from tests.e2e.browser import wait_for
from tests.lakes import file_bytes
from tests.live_gateway import LiveGateway
from tests.servers import unavailable

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
TODAY = datetime.datetime.now(datetime.UTC).date().isoformat()
BEFORE = "2026-01-02"
HOUR_MS = 3_600_000
#: Names that would do something if a page were careless.
EVIL = [
    "<img src=x onerror=\"document.title='run'\">",
    "<script>document.title='run'</script>",
    "\"'><svg onload=document.title='run'>",
    "line\u2028separator\u2029and\u0085more",
    "javascript:document.title='run'",
]


@pytest.fixture
def live(background: BackgroundLoop) -> Iterator[LiveGateway]:
    gateway = LiveGateway(background)
    gateway.put(VIDEO, "dQw4w9WgXcQ", [2 * HOUR_MS, HOUR_MS, 3, 65_000], channel="Anna")
    gateway.put(VIDEO, "short", [60_000, 0, 1, 0])
    gateway.put(CHANNEL, "Anna", [2 * HOUR_MS, HOUR_MS, 3, 65_000])
    gateway.put(HOUR, "7", [2 * HOUR_MS + 60_000, HOUR_MS, 4, 65_000])
    gateway.put(INGEST, "", [1_234, 1_234, 0, 0, 0, 5, 0])
    gateway.put(VIDEO, "old-video", [5_000, 0, 1, 0], BEFORE)
    gateway.put(HOUR, "3", [5_000, 0, 1, 0], BEFORE)
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
    driver.get(live.url)
    shows(driver, "watched", "3 h 01 min")
    return driver


def screen(driver: webdriver.Chrome, width: int, height: int, *, dark: bool = False) -> None:
    sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def text(driver: webdriver.Chrome, element: str) -> str:
    return str(driver.execute_script("return document.getElementById(arguments[0]).innerText", element))


def shows(driver: webdriver.Chrome, element: str, wanted: str) -> None:
    wait_for(lambda: wanted in text(driver, element), lambda: f"{wanted!r} in {element}: {text(driver, element)!r}")


def names(driver: webdriver.Chrome, listed: str) -> list[str]:
    script = "return [...document.querySelectorAll(`#${arguments[0]} .name`)].map((name) => name.textContent)"
    return list(driver.execute_script(script, listed))


def test_a_person_sees_the_day(page: webdriver.Chrome):
    assert text(page, "watched-title") == "Watched today"
    assert (text(page, "fg"), text(page, "bg"), text(page, "ads")) == ("2 h 01 min", "1 h 00 min", "1 min 05 s")
    assert names(page, "videos") == ["dQw4w9WgXcQ", "short"]
    assert "Anna" in text(page, "videos")
    assert names(page, "channels") == ["Anna"]
    assert text(page, "rate") == "12 events/s"
    assert text(page, "lag") == "nothing"
    assert text(page, "files") == "7 changes to write"
    assert text(page, "events") == "1,234"
    assert text(page, "rejected") == "3"
    assert page.find_elements(By.CSS_SELECTOR, "#hours canvas")
    assert page.get_log("browser") == []


def test_what_is_watched_moves_without_a_reload(page: webdriver.Chrome, live: LiveGateway):
    live.put(VIDEO, "short", [4 * HOUR_MS, 0, 1, 0])
    live.put(HOUR, "8", [4 * HOUR_MS, 0, 0, 0])

    shows(page, "watched", "7 h 01 min")
    assert names(page, "videos") == ["short", "dQw4w9WgXcQ"]


def test_names_run_nothing_and_are_shown_as_they_are(page: webdriver.Chrome, live: LiveGateway):
    for number, evil in enumerate(EVIL):
        live.put(CHANNEL, evil, [9 * HOUR_MS - number, 0, 0, 0])
        live.put(VIDEO, evil, [9 * HOUR_MS - number, 0, 0, 0], channel=evil)
    live.put(HOUR, "9", [1, 0, 0, 0])

    wait_for(lambda: names(page, "channels")[: len(EVIL)] == EVIL, "all names, letter by letter")
    assert names(page, "videos")[: len(EVIL)] == EVIL
    assert page.title == "Watchtime"
    assert page.find_elements(By.CSS_SELECTOR, "main img, main script, main svg") == []
    assert [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "a.name")] == [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    ]


def test_markup_that_got_in_would_still_run_nothing(page: webdriver.Chrome):
    page.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', arguments[0])", EVIL[0])

    wait_for(
        lambda: any("Content Security Policy" in entry["message"] for entry in page.get_log("browser")),
        "the policy's complaint",
    )
    assert page.title == "Watchtime"


def test_search_finds_and_escape_leads_back(page: webdriver.Chrome, live: LiveGateway):
    page.find_element(By.TAG_NAME, "body").send_keys("/")
    field = page.switch_to.active_element
    assert field.get_attribute("id") == "search"
    field.send_keys("ANN")

    shows(page, "found", "1 video and 1 channel")
    assert names(page, "videos") == ["dQw4w9WgXcQ"]
    live.put(VIDEO, "short", [5 * HOUR_MS, 0, 1, 0])
    live.put(HOUR, "8", [5 * HOUR_MS, 0, 0, 0])
    shows(page, "watched", "8 h 01 min")
    assert names(page, "videos") == ["dQw4w9WgXcQ"]  # new views do not push the search away
    field.send_keys(Keys.ESCAPE)
    wait_for(lambda: names(page, "videos") == ["short", "dQw4w9WgXcQ"], "the tops again")


def test_days_back_by_list_and_by_button(page: webdriver.Chrome, live: LiveGateway):
    page.find_element(By.ID, "earlier").click()
    shows(page, "watched", "5 s")
    assert names(page, "videos") == ["old-video"]
    assert f"dt={BEFORE}" in page.current_url
    assert "2026" in text(page, "watched-title")

    page.refresh()
    shows(page, "watched", "5 s")
    Select(page.find_element(By.ID, "day")).select_by_value(TODAY)
    shows(page, "watched", "3 h 01 min")
    assert page.current_url == live.url


def test_a_search_outlives_the_reading_of_the_day(page: webdriver.Chrome, live: LiveGateway):
    """What is found is there once the rows are, and the day's top rows never take its place."""
    page.find_element(By.ID, "search").send_keys("OLD")
    shows(page, "found", "0 videos and 0 channels")
    live.reader.caught_up.clear()
    live.know({"unreadable": 2})
    page.find_element(By.ID, "earlier").click()
    shows(page, "watched", "\u2013")
    time.sleep(0.5)  # a search that began with the day is under way by then
    live.catch_up()

    shows(page, "watched", "5 s")
    wait_for(lambda: names(page, "videos") == ["old-video"], "what was found")
    shows(page, "found", "1 video and 0 channels")
    shows(page, "notice", "hold no row: 2")


def test_days_that_only_the_lake_has(driver: webdriver.Chrome, background: BackgroundLoop, tmp_path: Path):
    """And no day's numbers stand under the name of another, when its files are slow or broken."""
    whole, broken = "2025-11-02", "2025-11-03"
    rows = {
        VIDEO: [("lake-video", "Anna", 7_000, 7_000, 0, 1, 0)],
        CHANNEL: [("Anna", 7_000, 7_000, 0, 1, 0)],
        HOUR: [(3, 7_000, 7_000, 0, 1, 0)],
        INGEST: [(77, 77, 0, 0, 0, 0, 0)],
    }
    for dt in (whole, broken):
        for table, of_table in rows.items():
            path = tmp_path / FileKey(table.name, dt, 0, 1, "parquet").encode()
            path.parent.mkdir(parents=True)
            path.write_bytes(file_bytes(table, dt, of_table, "parquet") if dt == whole else b"no parquet")
    live = LiveGateway(background, tmp_path.as_uri())
    live.put(HOUR, "8", [HOUR_MS, 0, 1, 0])
    try:
        screen(driver, 1200, 900)
        driver.get(live.url)
        shows(driver, "watched", "1 h 00 min")
        wait_for(lambda: driver.find_element(By.ID, "earlier").is_enabled(), "the days of the lake")
        driver.find_element(By.ID, "earlier").click()
        shows(driver, "notice", "The files of this day cannot be read")
        assert (text(driver, "watched"), text(driver, "events")) == ("\u2013", "\u2013")
        assert "3 Nov 2025" in text(driver, "watched-title")

        driver.find_element(By.ID, "earlier").click()
        shows(driver, "watched", "7 s")
        shows(driver, "state", "from the files")
        assert names(driver, "videos") == ["lake-video"]
        assert text(driver, "events") == "77"
        assert not driver.find_element(By.ID, "notice").is_displayed()
        live.cut()
        shows(driver, "state", "no connection")
        shows(driver, "state", "from the files")  # though the gateway has nothing new to say
        driver.find_element(By.ID, "search").send_keys("LAKE")
        shows(driver, "found", "1 video and 0 channels")
        driver.find_element(By.ID, "later").click()
        driver.find_element(By.ID, "later").click()
        shows(driver, "watched", "1 h 00 min")
        shows(driver, "found", "0 videos and 0 channels")
        assert names(driver, "videos") == []
    finally:
        live.stop()


def test_the_page_comes_back_by_itself(page: webdriver.Chrome, live: LiveGateway):
    live.stop()
    shows(page, "state", "no connection")
    live.put(HOUR, "8", [HOUR_MS, 0, 0, 0])
    live.start()

    shows(page, "watched", "4 h 01 min")
    shows(page, "state", "live")


def test_export_gives_the_rows_of_the_day(page: webdriver.Chrome, live: LiveGateway):
    live.put(CHANNEL, "=HYPERLINK(1)", [1, 0, 0, 0])
    live.put(HOUR, "8", [1, 0, 0, 0])
    wait_for(lambda: "=HYPERLINK(1)" in names(page, "channels"), "the channel")

    async def fetch(link: str) -> str:
        address = page.find_element(By.ID, link).get_attribute("href")
        async with aiohttp.ClientSession() as session, session.get(str(address)) as response:
            assert "attachment" in response.headers["Content-Disposition"]
            return await response.text()

    lines = asyncio.run(fetch("channels-csv")).split("\r\n")
    assert lines[0].startswith("dt,channel,watch_ms")
    assert lines[2].startswith(f"{TODAY},'=HYPERLINK(1),1,")
    assert [row["video_id"] for row in json.loads(asyncio.run(fetch("videos-json")))] == ["dQw4w9WgXcQ", "short"]


def test_pictures_only_where_the_viewer_wants_them(page: webdriver.Chrome, live: LiveGateway):
    def pictures() -> list[str]:
        return page.execute_script("return [...document.querySelectorAll('.bars img')].map((img) => img.src)")

    assert pictures() == []
    page.execute_script(
        "const img = new Image(); img.src = 'https://i.ytimg.com/vi/x/mqdefault.jpg'; document.body.append(img)"
    )
    wait_for(
        lambda: any("Content Security Policy" in entry["message"] for entry in page.get_log("browser")),
        "the policy keeps pictures out",
    )
    page.get(live.url)
    page.find_element(By.ID, "pictures").click()
    wait_for(lambda: pictures() == ["https://i.ytimg.com/vi/dQw4w9WgXcQ/mqdefault.jpg"], "the one with a YouTube id")


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False), (360, True)])
def test_it_fits_and_can_be_used_by_all(page: webdriver.Chrome, live: LiveGateway, width, dark):
    live.put(VIDEO, "x" * 128, [9 * HOUR_MS, 0, 0, 0], channel="W" * 256)
    live.put(HOUR, "8", [987_654 * HOUR_MS, 0, 0, 0])
    screen(page, width, 800, dark=dark)
    shows(page, "watched", "987,657 h")

    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    if not AXE.exists():
        unavailable("axe-core is not installed: npm ci")
    page.execute_script(AXE.read_text())
    found = page.execute_async_script("axe.run().then((result) => arguments[0](result.violations))")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_the_keyboard_reaches_everything(page: webdriver.Chrome):
    seen = []
    for _ in range(14):
        page.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(page.switch_to.active_element.get_attribute("id") or page.switch_to.active_element.text)

    assert seen[0] == "Skip to the totals"
    assert {"earlier", "day", "search", "videos-csv", "videos-json", "dQw4w9WgXcQ", "channels-csv"} <= set(seen)
