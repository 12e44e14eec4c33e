"""The comparison that all scenarios end with: what the pages really played, and what arrived for it."""

from __future__ import annotations

import time
from collections import Counter

from tests.e2e.browser import Browser, wait_for
from tests.e2e.fake_youtube.server import FakeYouTube
from tests.e2e.ingest import IngestServer

Sums = Counter[tuple[str, str]]
#: Of the true time, or one second where that is more.
TOLERANCE = 0.02
TOLERANCE_MS = 1_000
LAKE_WAIT_S = 60


def differences(truth: Sums, sums: Sums) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (true ms, arrived ms) of each video and kind that differ by more than the tolerance."""
    return {
        key: (round(truth[key]), sums[key])
        for key in truth | sums
        if abs(sums[key] - truth[key]) > max(TOLERANCE_MS, truth[key] * TOLERANCE)
    }


def leave_and_compare(browser: Browser, site: FakeYouTube, ingest: IngestServer, *, seeks: bool = False) -> None:
    """Leave the page, let the queue empty itself, and demand that the time is the true one."""
    browser.open_page("options/options.html")
    compare(browser, site, ingest, seeks=seeks)


def compare(browser: Browser, site: FakeYouTube, ingest: IngestServer, *, seeks: bool = False) -> None:
    """Demand that the time is the true one; an extension page is open.

    The stopwatch is checked against the media's own position, which says nothing where somebody sought.
    """
    browser.ask({"kind": "deliver"})
    wait_for(
        lambda: settled(browser, site, ingest), lambda: f"true time: {differences(site.truth_ms(), ingest.sums_ms())}"
    )
    time.sleep(0.5)  # nothing more may come: the absence of an event has no event of its own
    truth, sums = site.truth_ms(), ingest.sums_ms()
    media = site.truth_ms("media")
    for key in sorted(truth | sums):
        seconds = [
            f"{name} {of[key] / 1000:.2f} s" for name, of in (("true", truth), ("media", media), ("measured", sums))
        ]
        print(f"  {' '.join(key)}: {', '.join(seconds)}")
    assert differences(truth, sums) == {}
    assert seeks or differences(truth, site.truth_ms("media")) == {}, "the stopwatch and the media's own clock disagree"
    assert ingest.rejected() == []
    wait_for(
        lambda: ingest.lake_difference() is None, lambda: f"rows in the lake: {ingest.lake_difference()}", LAKE_WAIT_S
    )


def settled(browser: Browser, site: FakeYouTube, ingest: IngestServer) -> bool:
    """Whether everything is delivered and right."""
    waiting = browser.ask({"kind": "status"})["queue"]["waiting"]
    return waiting == 0 and not differences(site.truth_ms(), ingest.sums_ms())
