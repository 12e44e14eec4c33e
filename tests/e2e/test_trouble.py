"""Whatever breaks on the way, the time that arrives is the true one, once."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.e2e.browser import Browser, wait_for
from tests.e2e.comparison import compare, leave_and_compare
from tests.e2e.conftest import EXTENSION

PLAIN = "/watch?v=plain000001"


def test_worker_killed_with_a_request_in_flight(browser, site, ingest):
    ingest.hold()
    browser.youtube(PLAIN)
    browser.play_for(2)
    browser.js("site.main.video.pause()")  # a tick goes out, and is not acknowledged
    wait_for(lambda: ingest.requests_held() == 1, "a request in flight")
    assert browser.kill_worker()
    ingest.release()
    browser.js("site.main.video.play()")
    browser.play_for(2)
    leave_and_compare(browser, site, ingest)

    assert len(ingest.lines()) > len(ingest.events()), "the same events came twice"
    assert ingest.views() == {"plain000001": 1}


@pytest.mark.slow
def test_worker_killed_again_and_again(browser, site, ingest):
    browser.youtube(PLAIN)
    for _ in range(6):
        browser.play_for(4)
        browser.kill_worker()
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1}


@pytest.mark.slow
def test_gateway_down_for_a_while(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    ingest.stop()
    browser.play_for(13)
    browser.js("site.go('/watch?v=plain000002')")
    browser.play_for(3)
    browser.open_page("options/options.html")
    status = browser.ask({"kind": "status"})
    assert status["queue"]["waiting"] > 0
    assert "No answer" in status["delivery"]["error"]
    ingest.start()
    wait_for(lambda: browser.ask({"kind": "status"})["queue"]["waiting"] == 0, "delivered without being asked", 60)
    compare(browser, site, ingest)

    assert browser.ask({"kind": "status"})["delivery"]["error"] is None


@pytest.mark.slow
def test_broker_down_for_a_while(browser, site, ingest):
    ingest.publisher.ready = False
    browser.youtube(PLAIN)
    browser.play_for(12)
    ingest.publisher.ready = True
    leave_and_compare(browser, site, ingest)


@pytest.mark.slow
def test_browser_killed_and_started_again(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(16)
    browser.kill()
    browser.start()
    browser.youtube("/watch?v=plain000002")
    browser.play_for(4)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1, "plain000002": 1}
    assert len({event["seq_epoch"] for event in ingest.events()}) == 2
    assert len({event["client_session_id"] for event in ingest.events()}) == 1


@pytest.mark.slow
def test_browser_killed_while_the_gateway_was_down(browser, site, ingest):
    ingest.stop()
    browser.youtube(PLAIN)
    browser.play_for(13)
    browser.kill()
    ingest.start()
    browser.start()
    browser.open_page("options/options.html")
    compare(browser, site, ingest)


@pytest.mark.slow
def test_browser_closed_in_good_order(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(5)
    browser.quit()
    browser.start()
    browser.open_page("options/options.html")
    compare(browser, site, ingest)


@pytest.mark.slow
def test_reload_in_mid_video(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(5)
    browser.driver.refresh()
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 2}


@pytest.mark.slow
def test_asleep_in_mid_video(browser, site, ingest):
    """The page's stopwatch runs on in its sleep, so the media's own position is the truth here."""
    browser.youtube(PLAIN)
    browser.play_for(4)
    with browser.asleep():
        time.sleep(8)  # nothing can be awaited of a browser that is stopped
    browser.play_for(12)
    browser.open_page("options/options.html")
    browser.ask({"kind": "deliver"})
    ingest.wait_for("video_stop")

    assert site.truth_ms()["plain000001", "fg"] > site.truth_ms("media")["plain000001", "fg"] + 5_000
    assert ingest.sums_ms()["plain000001", "fg"] == pytest.approx(
        site.truth_ms("media")["plain000001", "fg"], abs=1_000
    )


@pytest.mark.slow
def test_tab_closed(browser, site, ingest):
    with browser.another_tab("https://www.youtube.com" + PLAIN):
        browser.play_for(6)
    browser.open_page("options/options.html")
    compare(browser, site, ingest)


@pytest.mark.slow
def test_extension_updated_in_mid_video(site, ingest, tmp_path):
    """The old script stops, what it had counted arrives, and the new one goes on in the page as it is."""
    copy = tmp_path / "extension"
    shutil.copytree(EXTENSION, copy)
    browser = Browser(tmp_path / "profile", copy, site.port)
    browser.start()
    try:
        browser.set_up(ingest.address)
        browser.youtube(PLAIN)
        browser.play_for(4)
        browser.update_extension()
        ingest.wait_for("watch_tick", timeout_s=30)
        browser.play_for(6)
        browser.youtube("/watch?v=plain000002")
        browser.play_for(4)
        browser.open_page("options/options.html")
        ingest.wait_for("video_stop", video_id="plain000002")
        truth, sums = site.truth_ms(), ingest.sums_ms()
        assert abs(sums["plain000002", "fg"] - truth["plain000002", "fg"]) <= 1_000
        # Between the two scripts nobody counts; a page with two of them would count twice.
        assert 9_000 <= sums["plain000001", "fg"] <= truth["plain000001", "fg"] + 100
        assert ingest.views() == {"plain000001": 2, "plain000002": 1}
    finally:
        browser.quit()


@pytest.mark.slow
def test_forgotten_while_a_video_plays(browser, site, ingest):
    """What the page had not handed over yet is gone, and nothing that it sends from then on names what was before."""
    browser.youtube(PLAIN)
    browser.play_for(3)
    with browser.another_tab(f"{browser.base}/options/options.html"):
        browser.ask({"kind": "deliver"})
        before = ingest.wait_for("video_start")
        browser.ask({"kind": "forget"})
    browser.play_for(3)
    browser.open_page("options/options.html")
    ingest.wait_for("video_stop")
    old = {before["client_id"]}
    sides = [[event for event in ingest.events() if (event["client_id"] in old) is was] for was in (True, False)]
    names = [
        {event["video_session_id"] for event in side}
        | {event["event_id"].rsplit("-", 1)[0] for event in side}
        | {event["seq_epoch"] for event in side}
        for side in sides
    ]
    assert names[0]
    assert names[1]
    assert not names[0] & names[1]
    assert sum(event.get("watch_ms_delta", 0) for event in sides[1]) <= site.truth_ms()["plain000001", "fg"] - 2_500


def test_without_consent_nothing_is_recorded(site, ingest, tmp_path):
    browser = Browser(tmp_path / "profile", EXTENSION, site.port)
    browser.start()
    try:
        browser.close_first_run_page()
        browser.youtube(PLAIN)
        browser.play_for(2)
        browser.open_page("options/options.html")
        status = browser.ask({"kind": "status"})
        assert status["queue"]["waiting"] == 0
        assert status["today"]["fg_ms"] == 0
        assert browser.stored_keys() == []
        assert ingest.lines() == []
    finally:
        browser.quit()


@pytest.mark.slow
def test_paused_by_the_person(browser, site, ingest):
    browser.youtube(PLAIN)
    browser.play_for(3)
    with browser.another_tab(f"{browser.base}/options/options.html"):
        browser.ask({"kind": "change", "change": {"paused": True}})
    ingest.wait_for("video_stop", reason="unknown")
    before_ms = sum(ingest.sums_ms().values())
    assert before_ms == pytest.approx(site.truth_ms()["plain000001", "fg"], abs=1_000)
    browser.play_for(3)
    browser.open_page("options/options.html")
    browser.ask({"kind": "deliver"})

    assert browser.ask({"kind": "status"})["queue"]["waiting"] == 0
    assert sum(ingest.sums_ms().values()) == before_ms
