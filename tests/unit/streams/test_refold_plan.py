"""Which records a refold takes for lost: no day that one of them may have counted on is folded again."""

from __future__ import annotations

import pytest

from streams.refold import newest_lost_ms
from streams.state_records import VERSION, Marker

NOW_MS, LAST_MS = 1_800_000_000_000, 1_799_000_000_000


def marker(offset, log_ms, generation=0, refold_end=0):
    return Marker(v=VERSION, offset=offset, log_ms=log_ms, generation=generation, refold_end=refold_end)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, NOW_MS, id="no marker: as late as can be"),
        pytest.param(marker(99, LAST_MS), LAST_MS, id="all that is gone was folded: the last one's time"),
        pytest.param(marker(98, LAST_MS), NOW_MS, id="one was not folded"),
        pytest.param(marker(99, NOW_MS + 1), NOW_MS, id="folded further than what is gone: the oldest one left"),
        pytest.param(marker(99, 0, generation=1), 0, id="nothing since a refold, whose first day stays"),
        pytest.param(marker(99, 0, generation=1, refold_end=100), 0, id="the same, and there was nothing to fold"),
        pytest.param(marker(99, LAST_MS, generation=1, refold_end=101), NOW_MS, id="a refold that is half-way"),
        pytest.param(marker(99, 0), NOW_MS, id="a marker of a release that kept no time"),
    ],
)
def test_the_newest_of_the_lost_records(found, expected):
    assert newest_lost_ms(100, NOW_MS, found) == expected


def test_offsets_of_a_topic_that_was_made_anew_say_nothing_of_the_old_one_s():
    folded = marker(99, LAST_MS)

    assert newest_lost_ms(0, NOW_MS, folded, anew=True) == LAST_MS
    assert newest_lost_ms(50, NOW_MS, folded, anew=True) == NOW_MS
