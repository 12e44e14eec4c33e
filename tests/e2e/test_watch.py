"""What people do on YouTube, and the time that reaches the gateway for it."""

from __future__ import annotations

from tests.e2e.browser import Browser, wait_for
from tests.e2e.fake_youtube.server import FakeYouTube
from tests.e2e.ingest import IngestServer


def leave_and_compare(browser: Browser, site: FakeYouTube, ingest: IngestServer) -> None:
    """Leave the page, wait until the queue is empty, compare with what really played."""
    browser.open_page("options/options.html")
    wait_for(lambda: browser.ask({"kind": "status"})["queue"]["waiting"] == 0, "empty queue")
    truth, sums = site.truth_ms(), ingest.sums_ms()
    print({key: (round(truth[key]), sums[key]) for key in truth | sums})
    assert ingest.rejected() == []
    for key in truth | sums:
        assert abs(sums[key] - truth[key]) <= max(1_000, truth[key] * 0.02), (key, sums, truth)


def test_plain(browser, site, ingest):
    browser.youtube("/watch?v=plain000001")
    browser.play_for(12)
    leave_and_compare(browser, site, ingest)
    assert ingest.views() == {"plain000001": 1}
