"""The live page in a real browser: other days than today, from the topics and from the lake."""

from __future__ import annotations

from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from sinks.keys import FileKey
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO
from tests.background_loop import BackgroundLoop
from tests.clock import today
from tests.e2e.browser import wait_for
from tests.e2e.live_page.screen import BEFORE, HOUR_MS, names, screen, shows, text
from tests.lakes import file_bytes
from tests.live_gateway import LiveGateway


def test_days_back_by_list_and_by_button(page: webdriver.Chrome, live: LiveGateway):
    page.find_element(By.ID, "earlier").click()
    shows(page, "watched", "5 s")
    assert names(page, "videos") == ["old-video"]
    assert f"dt={BEFORE}" in page.current_url
    assert "2026" in text(page, "watched-title")

    page.refresh()
    shows(page, "watched", "5 s")
    Select(page.find_element(By.ID, "day")).select_by_value(today())
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
    live.catch_up()

    shows(page, "watched", "5 s")
    wait_for(lambda: names(page, "videos") == ["old-video"], "what was found")
    shows(page, "found", "1 video and 0 channels")
    shows(page, "notice", "hold no row: 2")
    asked = "return performance.getEntriesByType('resource').filter(({name}) => name.includes(arguments[0])).length"
    assert page.execute_script(asked, f"q=OLD&limit=50&dt={BEFORE}") == len({"videos", "channels"})


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
