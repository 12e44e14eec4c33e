"""The short way of plain events: it says what the long way says, byte for byte, or nothing."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.body import read_batch
from gateway.intake import RejectedLimit, sort_batch, sort_events
from gateway.plain import plain_lines
from streams.contract.event import INT64_MAX, INT64_MIN, MAX_CODE_POINTS, MAX_EVENT_BYTES
from tests.unit.gateway.cases import VERDICTS, event_of, named

BASE = VERDICTS["base"]
FORGED = '"},{"event_id":"forged'
TEXTS = st.sampled_from(
    [
        "a",
        "é",
        "",
        " ",
        "\u2003",
        "\t",
        " x",
        FORGED,
        "},{",
        "\\",
        '\\"',
        '"',
        ":",
        "}\n{",
        "x" * 128,
        "é" * 129,
        "y" * 257,
    ]
)
VALUES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, 1, 1.0, -1, 60_000, 60_001, INT64_MAX, INT64_MAX + 1, INT64_MIN, INT64_MIN - 1, 2**64, 1e300, 0.5]
    ),
    st.sampled_from(["foreground", "background", "watch_tick", "video_start"]),
    st.sampled_from([[], {}, [{}, {}], [[], {"a": {"b": [1]}}], {"x": 2**70}]),
)
MORE_NAMES = (
    "schema event_ts event_type watch_ms_delta watch_mode is_visible new_state context_type received_at client_id"
)
NAMES = st.sampled_from([*MAX_CODE_POINTS, *MORE_NAMES.split(), "position_s", "ad", FORGED])


def events_of(choice) -> list:
    """Return events from (type, client, changes, names taken out)."""
    events = []
    for event_type, client, changes, gone in choice:
        event = BASE[event_type] | {"client_session_id": client} | changes
        events.append({name: value for name, value in event.items() if name not in gone})
    return events


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(BASE)),
            st.sampled_from(["c", "c", "c", "é|\u2028"]),
            st.dictionaries(NAMES, VALUES, max_size=2),
            st.sets(NAMES, max_size=1),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, "i-1"]),
    st.sampled_from([(",", ":"), (", ", " : "), (",\r\n", ":\t")]),
    st.booleans(),
)
@example(
    choice=[("watch_tick", "c", {"channel_name": FORGED}, set())], install=None, separators=(",", ":"), ascii_only=True
)
def test_both_ways_end_alike(choice, install, separators, ascii_only):
    events = events_of(choice)
    for document in ({"events": events}, events[0]):
        body = json.dumps(document, separators=separators, ensure_ascii=ascii_only).encode()
        batch = read_batch(body)

        short = sort_batch(batch, 77, RejectedLimit(), 0.0, install)

        assert short == sort_events(batch.events, 77, RejectedLimit(), 0.0, install)
        assert json.dumps(batch.events) == json.dumps(events if "events" in document else [document])


@pytest.mark.parametrize("case", **named(VERDICTS["cases"]))
def test_what_the_gate_rejects_is_not_plain(case):
    event = event_of(case)
    batch = read_batch(json.dumps({"events": [event]}).encode())

    if case["error"] is not None:
        assert batch.text is None or plain_lines(batch.events, batch.text, None, b",") is None


@pytest.mark.parametrize("case", **named(VERDICTS["cases"]))
def test_each_case_of_the_table_ends_alike(case):
    batch = read_batch(json.dumps({"events": [event_of(case)]}).encode())

    short = sort_batch(batch, 77, RejectedLimit(), 0.0, None)

    assert short == sort_events(batch.events, 77, RejectedLimit(), 0.0, None)


@pytest.mark.parametrize("event_type", sorted(BASE))
def test_good_events_of_each_type_are_plain(event_type):
    """Without this the short way could be out of use, and no other test would tell."""
    events = [BASE[event_type] | {"event_id": f"e-{number}", "more": [1, {"x": 1.5}]} for number in range(3)]
    found = plain_lines(events, orjson.dumps(events), None, b',"received_at":5,')

    assert found is not None
    client, lines = found
    assert client == events[0]["client_session_id"]
    added = {"received_at": 5, "client_id": client}
    assert [json.loads(line) for line in lines.split(b"\n")[:-1]] == [event | added for event in events]


@pytest.mark.parametrize(("more", "is_plain"), [(0, True), (1, False)])
def test_the_largest_event(more, is_plain):
    event = BASE["video_start"] | {"padding": ""}
    event["padding"] = "x" * (MAX_EVENT_BYTES - len(orjson.dumps(event)) + more)

    assert (plain_lines([event], orjson.dumps([event]), None, b",") is not None) is is_plain
