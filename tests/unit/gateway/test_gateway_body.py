"""From bytes to events: cases, and what no bytes may do."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.body import InvalidJsonError, compact, read_batch
from gateway.intake import MAX_REJECTED_PER_MINUTE, RejectedLimit, sort_batch, sort_events
from streams.contract import topics
from streams.contract.event import MAX_BATCH_EVENTS, MAX_BODY_BYTES, MAX_NESTING, decode_line, split_lines
from tests.unit.gateway.cases import BODIES


def depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


NESTED = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[]{}"\\ab', max_size=3), inner),
    max_leaves=20,
)


@given(NESTED, st.integers(0, 70))
def test_depth_is_judged_exactly(value, wraps):
    for turn in range(wraps):
        value = [value] if turn % 2 else {"a": value}
    body = json.dumps(value).encode()

    if depth(value) > MAX_NESTING:
        with pytest.raises(InvalidJsonError):
            read_batch(body)
    else:
        assert [value] == read_batch(body).events


@given(st.lists(NESTED, max_size=5), st.integers(0, 80), st.integers(0, 80), st.integers(55, 66))
def test_depth_is_judged_exactly_in_batches(events, flat, at, wraps):
    events += [{"flat": "event"}] * flat
    deep = 1
    for _ in range(wraps):
        deep = [deep]
    events.insert(at, {"x": deep})
    body = json.dumps({"events": events}).encode()

    if depth(events) + 1 > MAX_NESTING:
        with pytest.raises(InvalidJsonError):
            read_batch(body)
    else:
        assert events == read_batch(body).events


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789eE.-+ \\ud8ntrafls', max_size=60).map(str.encode))
@example(b'{"events":[{"a":' * 30)
@example(b"-")
@example(b"1" * 5000)
@example(b"1" * 300 + b".5")
@example(b'"' + b"9" * 5000 + b'"')
@example(b'"\\')
@example(b"1" * 20 + b'"\xff"')
def test_any_bytes_are_events_or_refused(body):
    try:
        batch = read_batch(body)
    except InvalidJsonError:
        return
    intake = sort_batch(batch, 1, RejectedLimit(), 0.0)

    assert len(batch.events) == intake.accepted + len(intake.rejected)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    )
)
@example(2**64)
@example(-(2**63) - 1)
@example([2**200, 1.5, "2\u2028\n"])
@example({"x": -(10**30), "y": 123456789012345678901234567890.0})
def test_any_value_is_kept_as_it_came(value):
    body = json.dumps({"events": [value]}).encode()
    (event,) = read_batch(body).events
    text = compact(event)

    assert value == event
    assert value == json.loads(text)
    assert b"\n" not in text


def test_the_largest_growth_of_a_body_still_fits_a_message():
    """Numbers grow when written again: 1e15 becomes 1000000000000000.0."""
    base = BODIES["valid_event"][:-1]
    numbers = ",".join(["1e15"] * 850)
    event = f'{base},"x":[{numbers}]}}'
    count = MAX_BODY_BYTES // (len(event) + 1)
    body = f'{{"events":[{",".join([event] * count)}]}}'.encode()
    assert len(body) <= MAX_BODY_BYTES

    intake = sort_batch(read_batch(body), 1, RejectedLimit(), 0.0)

    assert count == intake.accepted <= MAX_BATCH_EVENTS
    assert len(intake.records[0].value) < topics.MAX_MESSAGE_BYTES * 0.75


VALID = json.loads(BODIES["valid_event"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10).filter(str.strip)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"client_session_id": st.sampled_from(["a", "b", "\u2028x\n", "é|"]), "event_id": TEXTS},
            optional={"received_at": st.none() | TEXTS, "client_id": TEXTS, "note": TEXTS, "schema": st.just(2)},
        ),
        max_size=30,
    )
)
def test_records_hold_each_clients_lines_in_order(changes):
    events = [VALID | change for change in changes]
    intake = sort_events(events, 77, RejectedLimit(), 0.0)
    accepted = [event for event in events if event["schema"] == 1]
    records = [record for record in intake.records if record.topic == topics.EVENTS]

    assert len(accepted) == intake.accepted
    assert len({event["client_session_id"] for event in accepted}) == len(records)
    for record in records:
        client = record.key.decode()
        mine = [event for event in accepted if event["client_session_id"] == client]
        assert record.value.endswith(b"\n")
        lines = split_lines(record.value)
        assert [event | {"received_at": 77, "client_id": client} for event in mine] == [json.loads(x) for x in lines]
        for line in lines:
            assert (77, client) == ((decoded := decode_line(line)).received_at, decoded.client_id)
            assert 1 == line.count(b'"received_at"') == line.count(b'"client_id"')


def test_rejected_events_are_kept_with_reason_up_to_a_limit_per_minute():
    limit = RejectedLimit()
    broken = {"client_session_id": "c", "padding": "aä" + "ä" * 20_000}

    intake = sort_events([broken] * 150, 77, limit, now_s=1_000.0)

    assert len(intake.rejected) == 150
    assert len(intake.records) == MAX_REJECTED_PER_MINUTE
    assert intake.unrecorded == 50
    assert intake.records[0][:2] == (topics.REJECTED, b"c")
    kept = json.loads(intake.records[0].value)
    assert (kept["reason"], kept["received_at"]) == ("missing schema", 77)
    assert kept["event"].startswith('{"client_session_id":"c","padding":"aää')
    assert len(kept["event"].encode()) == 16 * 1024 - 1  # a character of two bytes would not fit
    assert len(sort_events([broken], 77, limit, now_s=1_059.9).records) == 0
    assert len(sort_events([broken] * 150, 77, limit, now_s=1_060.0).records) == 100


def test_the_answer_names_the_first_ten_errors():
    intake = sort_events([1] * 11 + [VALID], 1, RejectedLimit(), 0.0)

    answer = json.loads(intake.answer())

    assert (answer["ok"], answer["accepted"], answer["rejected"]) == (True, 1, 11)
    assert [{"index": n, "error": "event is not an object"} for n in range(10)] == answer["errors"]
