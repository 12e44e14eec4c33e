"""The settings that topics are made with."""

from __future__ import annotations

import pytest

from streams.contract.days import DAY_MS
from streams.contract.topics import EVENTS, REJECTED, topics


@pytest.mark.parametrize(("name", "days"), [(EVENTS, 14), (REJECTED, 30)])
def test_a_record_of_a_quiet_topic_goes_within_a_day_of_its_retention(name, days):
    (topic,) = (topic for topic in topics(4, 1, client_table=True) if topic.name == name)
    segment_ms = int(topic.config["segment.ms"])

    assert int(topic.config["retention.ms"]) == days * DAY_MS
    # A segment goes when its newest record may: its oldest one is older by up to the segment's time.
    assert 0 < segment_ms < DAY_MS
