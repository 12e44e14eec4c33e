"""The live page in a real browser: what a person sees, and that no name can run anything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from streams.contract.rows import CHANNEL, HOUR, VIDEO
from tests.clock import today
from tests.e2e.browser import wait_for
from tests.e2e.live_page.screen import HOUR_MS, names, screen, shows, text
from tests.live_gateway import LiveGateway
from tests.servers import unavailable

ROOT = Path(__file__).parents[3]
AXE = ROOT / "node_modules/axe-core/axe.min.js"
#: Names that would do something if a page were careless.
EVIL = [
    "<img src=x onerror=\"document.title='run'\">",
    "<script>document.title='run'</script>",
    "\"'><svg onload=document.title='run'>",
    "line\u2028separator\u2029and\u0085more",
    "javascript:document.title='run'",
]


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
    assert lines[2].startswith(f"{today()},'=HYPERLINK(1),1,")
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
