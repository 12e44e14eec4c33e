"""Lines as columns: read together, one by one, by the stream and by hand, they say the same."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.line_columns import INVALID, SCHEMA, Origin, UnreadableLineError, columns, read_lines, read_text
from streams.contract.days import DAY_MS, day_start_ms
from streams.contract.event import Event, decode_line, int64_or_none, split_lines
from tests.plain_lines import plain_columns

DT = "2026-01-05"
START = day_start_ms(DT)
EVENT = {"event_type": "watch_tick", "event_ts": START, "tab_id": "t"}


def line(**fields):
    return orjson.dumps({**EVENT, **fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_ts": START + 5}, START + 5),
        ({"event_ts": START - DAY_MS}, START),
        ({"event_ts": START + 3 * DAY_MS}, START + DAY_MS - 1),
        ({"event_ts": "later"}, START),
        ({"event_ts": START + 5, "received_at": START + 9}, START + 9),
        ({"event_ts": START + 5, "received_at": START - 60_000}, START),
        # A stamp that is not near the day is not its delivery.
        ({"event_ts": START + 5, "received_at": START - DAY_MS}, START + 5),
    ],
)
def test_a_line_of_the_reference_was_delivered_on_the_day_of_its_key(fields, expected):
    batch = columns(read_text(line(**fields)), Origin.foreign("key", DT), first_place=0)

    assert [expected] == batch["delivered_ms"].to_pylist()


def test_an_archived_line_without_its_stamp_is_an_error_that_names_the_object():
    lines = read_text(line(received_at=1) + b"\n" + line() + b"\n")

    with pytest.raises(UnreadableLineError, match="line 1 of the-key"):
        columns(lines, Origin.archive("the-key", DT), first_place=0)


ODD = st.sampled_from([None, "", 0, 1.0, True, [], {"a": 1}, "x", "\u0000", "é"])
FIELDS = {
    "event_type": st.sampled_from(["watch_tick", "video_start", "video_stop"]) | ODD,
    "event_ts": st.sampled_from([START, 2**63 - 1, 2**63, -(2**63), 10**30, 1.5]) | ODD,
    "tab_id": st.sampled_from(["t", "t", 5]) | ODD,
    "event_id": ODD,
    "client_id": ODD,
    "client_session_id": ODD,
    "video_id": ODD,
    "channel_name": ODD,
    "watch_ms_delta": st.sampled_from([1, 60_000, -1, 1e3, 2**63]) | ODD,
    "watch_mode": st.sampled_from(["background", "foreground"]) | ODD,
    "ad": st.sampled_from([True, False]) | ODD,
    "seq": st.sampled_from([0, -1, 2**53 - 1, 2**53]) | ODD,
    "seq_epoch": ODD,
    "tz_offset_min": st.sampled_from([0, 840, 60.0]) | ODD,
}
#: Ends of a line that a parser may see otherwise than its neighbour: doubled names, escapes, odd bytes, odd numbers.
TAILS = st.sampled_from(
    [
        b"",
        b',"tab_id":null',
        b',"event_ts":"5"',
        b',"event_ts":"5","event_ts":5',
        b',"\\u0074ab_id":"escaped name"',
        b',"video_id":"\\ud83d\\ude00"',
        b',"x":"\\ud800"',
        b',"x":"\xff"',
        b',"\xff":1',
        b',"channel_name":"\xc3\xa9\\n\\u0000"',
        b',"x":1e999',
        b',"x":1e999,"seq":"1"',
        b',"x":01',
        b',"seq":-0',
        b',"seq":18446744073709551616,"seq_epoch":"p"',
        b',"x":' + b"[" * 70 + b"]" * 70,
        b',"x":' + b"[" * 2_000 + b"]" * 2_000,
        b',"x":{"event_type":"inner","tab_id":null}',
        b',"x":[{"a":1},\n{"b":2}]',
        b' ,\t"x" : 1 ',
        b"},",
        b'}{"a":1',
        b"}\r{",
    ]
)
ODD_LINES = st.builds(
    lambda usual, odd, tail: (
        json.dumps({**usual, **odd, "received_at": START}, ensure_ascii=False).encode()[:-1] + tail + b"}"
    ),
    st.just(EVENT) | st.just({}),
    st.fixed_dictionaries({}, optional=FIELDS),
    TAILS,
) | st.sampled_from([b"", b" ", b"x", b"[]", b"{}", b"null", b"\xff", b'{"a":NaN}', b"\xef\xbb\xbf{}", b"{}{}"])
TEXTS = st.lists(ODD_LINES, min_size=1, max_size=20).map(b"\n".join)


def told(found, event):
    """Return a line's fields as the stream's decoder names them, numbers as it counts them."""
    return None if found is INVALID else {name: int_or_same(getattr(found, name)) for name in event.__struct_fields__}


def int_or_same(value):
    return value if type(value) is not int else int64_or_none(value)


@settings(max_examples=300)
@given(TEXTS)
def test_lines_read_together_say_what_each_says_alone(text):
    together = read_text(text)

    assert [told(line, Event) for line in read_lines(split_lines(text))] == [told(line, Event) for line in together]


@settings(max_examples=300)
@given(TEXTS)
def test_a_line_says_what_the_stream_reads_in_it(text):
    stream = [decode_line(line) for line in split_lines(text)]

    expected = [
        event and {name: int_or_same(getattr(event, name)) for name in Event.__struct_fields__} for event in stream
    ]
    # A flag that is no boolean is no flag; one has None for it, the other false.
    assert [event and {**event, "ad": event["ad"] is True} for event in expected] == [
        line and {**line, "ad": line["ad"] is True} for line in (told(line, Event) for line in read_text(text))
    ]


@settings(max_examples=300)
@given(st.lists(ODD_LINES.filter(lambda line: b"\n" not in line and b"1e999" not in line), min_size=1, max_size=20))
def test_columns_are_what_a_plain_reading_of_each_line_gives(lines):
    quick = columns(read_text(b"".join(each + b"\n" for each in lines)), Origin.archive("k", DT), first_place=7)

    # What no counting looks at in a line that is no event: its flags.
    nothing = {**dict.fromkeys(SCHEMA.names), "background": False, "ad": False}
    assert quick.to_pylist() == [
        {**nothing, "place": 7 + at, "broker_dt": DT, **plain_columns(each)} for at, each in enumerate(lines)
    ]


def test_lines_that_are_not_to_be_told_apart_keep_their_client():
    lines = read_text(line(client_session_id="c", event_id="e", seq=1, seq_epoch="p") + b"\n")

    row = columns(lines, Origin.foreign("key", DT), first_place=0, identified=False).to_pylist()[0]

    assert (row["client"], row["event_id"], row["seq"], row["seq_epoch"]) == (b"c", None, None, None)
