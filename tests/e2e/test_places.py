"""Where a player may be besides the watch page, and what is known of a video there."""

from __future__ import annotations

import pytest

from tests.e2e.comparison import leave_and_compare


@pytest.mark.slow
def test_shorts_swiped(browser, site, ingest):
    browser.youtube("/shorts/shortvideo1")
    browser.play_for(3)
    browser.js("site.go('/shorts/shortvideo2')")
    browser.play_for(14)  # six seconds long: seen twice, and begun a third time
    browser.js("site.go('/shorts/shortvideo3')")
    browser.play_for(3)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"shortvideo1": 1, "shortvideo2": 3, "shortvideo3": 1}
    assert {event["page_type"] for event in ingest.events()} == {"shorts"}


@pytest.mark.slow
def test_miniplayer(browser, site, ingest):
    browser.youtube("/watch?v=plain000001")
    browser.play_for(4)
    browser.js("site.go('/feed/subscriptions', {miniplayer: true})")
    browser.play_for(6)
    leave_and_compare(browser, site, ingest)

    assert ingest.views() == {"plain000001": 1}
    assert {"watch", "miniplayer"} <= {event["page_type"] for event in ingest.events()}


@pytest.mark.slow
def test_live(browser, site, ingest):
    browser.youtube("/watch?v=livestream1")
    browser.play_for(12)
    browser.js("site.main.video.currentTime = 7260")
    browser.play_for(3)
    leave_and_compare(browser, site, ingest, seeks=True)

    assert ingest.views() == {"livestream1": 1}
    assert {event["page_type"] for event in ingest.events()} == {"live"}


@pytest.mark.slow
def test_an_embedded_player_opened_by_its_own_address(browser, site, ingest):
    browser.youtube("/embed/plain000003")
    browser.play_for(4)
    leave_and_compare(browser, site, ingest)

    assert {event["page_type"] for event in ingest.events()} == {"embed"}


@pytest.mark.slow
def test_music(browser, site, ingest):
    browser.driver.get("https://music.youtube.com/watch?v=plain000004")
    browser.play_for(4)
    leave_and_compare(browser, site, ingest)

    assert {event["page_type"] for event in ingest.events()} == {"music"}
    assert {event["channel_id"] for event in ingest.events()} == {"UCtwo4567890123456789012"}


@pytest.mark.slow
@pytest.mark.parametrize("embeds", [False, True])
def test_a_player_in_another_site(browser, site, ingest, embeds):
    """Counted where the person switched it on, and then without the site around it."""
    browser.ask({"kind": "change", "change": {"embeds": embeds}})
    browser.driver.get("https://blog.example/article/plain000003")
    browser.driver.switch_to.frame(0)
    browser.play_for(4)
    browser.driver.switch_to.default_content()
    if embeds:
        leave_and_compare(browser, site, ingest)
        assert {event["page_type"] for event in ingest.events()} == {"embed"}
        assert not any("blog.example" in str(event) for event in ingest.events())
    else:
        browser.open_page("options/options.html")
        browser.ask({"kind": "deliver"})
        assert browser.ask({"kind": "status"})["queue"]["waiting"] == 0
        assert ingest.events() == []


@pytest.mark.slow
def test_a_preview_is_not_watching(browser, site, ingest):
    browser.youtube("/feed/subscriptions")
    browser.js("site.preview(true)")
    browser.wait_until("document.querySelector('#inline-player video').currentTime > 3")
    leave_and_compare(browser, site, ingest)

    assert ingest.events() == []


@pytest.mark.slow
def test_a_channel_that_comes_late(browser, site, ingest):
    browser.youtube("/watch?v=latechannel")
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert {event["channel_name"] for event in ingest.events()} == {"Канал Два & Söhne"}
    assert {event["channel_handle"] for event in ingest.events()} == {"@two"}


@pytest.mark.slow
def test_a_channel_that_never_comes(browser, site, ingest):
    browser.youtube("/watch?v=nochannel01")
    browser.play_for(5)
    leave_and_compare(browser, site, ingest)

    assert [event["context_type"] for event in ingest.events() if event["event_type"] == "context_missing"] == [
        "channel"
    ]
    assert not any("channel_name" in event for event in ingest.events())
