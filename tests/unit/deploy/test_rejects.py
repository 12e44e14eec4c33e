"""Rejected records as they are shown, grouped, mended and batched."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
import pytest

from deploy.rejects import MARK, NoEventError, Reject, batches, change, decode, event_of, groups, moment
from gateway.intake import RejectedLimit, sort_events
from gateway.validate import verdict
from streams.contract.event import MAX_BATCH_EVENTS, MAX_BODY_BYTES
from streams.rejects import Rejects

NOW = 1_773_186_900_000
EVENT = {
    "schema": 1,
    "event_id": "e",
    "event_ts": NOW,
    "event_type": "context_missing",
    "client_session_id": "c",
    "tab_id": "t",
    "context_type": "channel",
}


def record(value, *, key=b"c"):
    return SimpleNamespace(offset=7, timestamp=NOW, key=key, value=value)


def rejected(event):
    (sent,) = sort_events([event], NOW, RejectedLimit(), 0.0).records
    return decode(record(sent.value, key=sent.key))


def test_what_the_gateway_writes_is_read_back():
    found = rejected({**EVENT, "schema": 2})

    assert (found.reason, found.client, found.offset, found.at_ms) == ("unsupported schema", "c", 7, NOW)
    assert orjson.loads(found.event) == {**EVENT, "schema": 2}
    assert found.place == {}


def test_what_the_stream_writes_is_read_back_with_its_place():
    rejects = Rejects(3)
    rejects.add(b"fine\nbroken\n", 1, 88, NOW)
    (value,) = rejects.take()

    found = decode(record(value, key=None))

    assert (found.place, found.event, found.client) == ({"partition": 3, "offset": 88, "line": 1}, "broken", None)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"[1]", b"", None])
def test_a_record_of_another_program_does_not_stop_the_list(value):
    assert decode(record(value)).reason == "unreadable record"


def test_groups_come_by_frequency_with_their_newest_example():
    many = [Reject(offset=n, at_ms=NOW + n, client=None, reason="ab"[n % 3 == 0], event="") for n in range(7)]

    found = [
        (group.reason, group.count, group.first_ms - NOW, group.last_ms - NOW, group.last_offset)
        for group in groups(many)
    ]

    assert found == [("a", 4, 1, 5, 5), ("b", 3, 0, 6, 6)]


def test_a_mended_event_is_one_that_the_gateway_takes_with_the_same_identity():
    event = event_of(rejected({**EVENT, "schema": 2}), {"schema": 1})

    assert verdict(event, len(orjson.dumps(event))) is None
    assert event == {**EVENT, MARK: 7}


@pytest.mark.parametrize(
    ("reject", "why"),
    [
        ({**EVENT, "schema": 2}, "unsupported schema"),
        ({**EVENT, "filler": "x" * 17_000}, "cut off"),
        ([1], "no JSON object"),
    ],
)
def test_what_would_be_refused_again_says_why(reject, why):
    with pytest.raises(NoEventError, match=why):
        event_of(rejected(reject), {})


def test_batches_keep_within_the_limits_of_a_request_and_the_order():
    events = [{**EVENT, "event_id": str(n), "filler": "x" * (10 if n % 2 else 9_000)} for n in range(1_200)]

    found = batches(events)

    assert events == [event for batch in found for event in batch]
    assert all(len(batch) <= MAX_BATCH_EVENTS for batch in found)
    assert all(len(orjson.dumps({"events": batch})) <= MAX_BODY_BYTES for batch in found)
    assert 11 <= len(found) <= 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - 1_800_000),
        ("7d", NOW - 604_800_000),
        ("2026-03-10", 1_773_100_800_000),
        ("2026-03-10T01:00:00+01:00", 1_773_100_800_000),
    ],
)
def test_moments(text, expected):
    assert expected == moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("schema=1", ("schema", 1)), ("tab_id=t", ("tab_id", "t")), ('a="1"', ("a", "1")), ("a=b=c", ("a", "b=c"))],
)
def test_changes(text, expected):
    assert expected == change(text)
    with pytest.raises(ValueError, match="FIELD=VALUE"):
        change("schema")
