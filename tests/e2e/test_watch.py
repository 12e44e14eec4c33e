"""What people do on YouTube, and the time that arrives at the gateway for it."""

from __future__ import annotations

import pytest

from tests.e2e.browser import wait_for
from tests.e2e.comparison import leave_and_compare

PLAIN = "/watch?v=plain000001"


def test_an_ordinary_visit(browser, site, ingest):
    """The short one for every test run: watch, pause, hide, go on to the next video without a reload."""
    browser.youtube(PLAIN)
    browser.play_for(3)
    browser.js("site.main.video.pause()")
    browser.js("site.main.video.play()")
    with browser.another_tab():
        ingest.wait_for("visibility_change", is_visible=False)
    browser.js("site.go('/watch?v=plain000002')")
    browser.play_for(3)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1, "plain000002": 1}
    channels = {(event["video_id"], event["channel_name"]) for event in ingest.events()}
    assert channels == {("plain000001", "Channel One"), ("plain000002", "Канал Два & Söhne")}
    assert {event["channel_id"] for event in ingest.events()} == {
        "UCone4567890123456789012",
        "UCtwo4567890123456789012",
    }


@pytest.mark.slow
def test_plain(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(25)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1}
    ticks = [event["watch_ms_delta"] for event in ingest.events() if event["event_type"] == "watch_tick"]
    assert len(ticks) == 3
    assert max(ticks) < 11_500


@pytest.mark.slow
def test_pause_and_resume(browser, site, ingest):
    browser.youtube(PLAIN)
    for _ in range(3):
        browser.play_for(4)
        browser.js("site.main.video.pause()")
        ingest.wait_for("video_stop", reason="pause")
        browser.js("site.main.video.play()")
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1}


@pytest.mark.slow
def test_hidden_for_a_while(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(5)
    with browser.another_tab():
        ingest.wait_for("watch_tick", timeout_s=30, watch_mode="background", flush_reason="interval")
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["plain000001", "bg"] > 9_000


@pytest.mark.slow
def test_minimised(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    browser.driver.minimize_window()
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["plain000001", "bg"] > 4_000


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.25, 2, 4])
def test_rates(browser, site, ingest, rate):
    browser.youtube(PLAIN)
    browser.js("site.main.video.playbackRate = arguments[0]", rate)
    browser.play_for(12)
    leave_and_compare(browser, site, ingest)

    content_ms = sum(event.get("content_ms", 0) for event in ingest.events())
    assert content_ms == pytest.approx(ingest.sums_ms()["plain000001", "fg"] * rate, abs=800)


@pytest.mark.slow
def test_rate_changes_and_seeks(browser, site, ingest):
    browser.youtube(PLAIN)
    for script in ("playbackRate = 2", "currentTime = 60", "playbackRate = 1", "currentTime = 2", "currentTime += 10"):
        browser.play_for(3)
        browser.js(f"site.main.video.{script}")
    browser.play_for(3)
    leave_and_compare(browser, site, ingest, seeks=True)

    assert ingest.views() == {"plain000001": 1}


@pytest.mark.slow
def test_ads_before(browser, site, ingest):
    browser.youtube("/watch?v=adbefore001")
    browser.play_for(14)
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["adbefore001", "ad"] > 7_000
    assert ingest.views() == {"adbefore001": 1}
    assert {event["channel_name"] for event in ingest.events()} == {"Channel One"}


@pytest.mark.slow
def test_ad_in_the_middle(browser, site, ingest):
    browser.youtube("/watch?v=admiddle001")
    browser.play_for(16)
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["admiddle001", "ad"] > 7_000
    assert ingest.views() == {"admiddle001": 1}


@pytest.mark.slow
def test_five_videos_without_a_reload(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(4)
    for number in range(2, 6):
        browser.js("site.go(arguments[0])", f"/watch?v=plain00000{number}")
        browser.play_for(4)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {f"plain00000{number}": 1 for number in range(1, 6)}
    channels = {
        (event["video_id"][-1], event["channel_handle"]) for event in ingest.events() if "channel_handle" in event
    }
    assert channels <= {("1", "@one"), ("2", "@two"), ("3", "@one"), ("4", "@two"), ("5", "@one")}


@pytest.mark.slow
def test_a_playlist_that_tells_of_no_navigation(browser, site, ingest):
    browser.youtube("/watch?v=playlist001")
    wait_for(lambda: browser.js("return site.main.current.id") == "playlist003", "third video", 40)
    browser.play_for(3)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"playlist001": 1, "playlist002": 1, "playlist003": 1}


@pytest.mark.slow
def test_picture_in_picture_counts_as_seen(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    browser.click("#pip")
    browser.wait_until("document.pictureInPictureElement")
    with browser.another_tab():
        ingest.wait_for("watch_tick", timeout_s=30, fg_reason="pip", flush_reason="interval")
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["plain000001", "bg"] < 500


@pytest.mark.slow
def test_two_tabs_at_once(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    with browser.another_tab("https://www.youtube.com/watch?v=plain000002"):
        browser.play_for(10)
    browser.play_for(2)
    leave_and_compare(browser, site, ingest)

    assert site.truth_ms()["plain000001", "bg"] > 9_000
    assert ingest.views() == {"plain000001": 1, "plain000002": 1}
    assert len({event["tab_id"] for event in ingest.events()}) == 2


@pytest.mark.slow
def test_the_same_video_in_two_tabs(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    with browser.another_tab("https://www.youtube.com" + PLAIN):
        browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 2}


@pytest.mark.slow
def test_a_tab_opened_behind(browser, site, ingest):
    """Chromium loads no media there until somebody looks: whatever plays is counted, and only that."""
    browser.youtube(PLAIN)
    browser.open_behind("/watch?v=plain000002")
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert ingest.views()["plain000001"] == 1
