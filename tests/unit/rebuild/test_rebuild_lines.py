"""How raw objects of either kind become lines, and lines columns."""

from __future__ import annotations

import gzip
import json
import random

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.rebuild_columns import columns, foreign_delivery, own_delivery
from sinks.rebuild_lines import BrokenObjectError, content, foreign_lines, strict_lines
from sinks.reconcile_lines import RawLine, UnreadableLineError, batches
from streams.contract.days import DAY_MS, day_start_ms
from streams.contract.event import Event, decode_events, decode_line

DT = "2026-01-05"
START = day_start_ms(DT)
EVENT = {"event_type": "watch_tick", "event_ts": START, "tab_id": "t"}


def line(**fields):
    return orjson.dumps({**EVENT, **fields})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1} \t{"b":"}{"}\n{"c":3}', [b'{"a":1}', b'{"b":"}{"}', b'{"c":3}']),
        (b'\n  \n{"a":1}\r\n\n', [b'{"a":1}']),
        ('{"a":"\u2028é"}{"b":"🦉"}'.encode(), ['{"a":"\u2028é"}'.encode(), '{"b":"🦉"}'.encode()]),
        (b'{"a":1}{"b":', [b'{"a":1}', b'{"b":']),
        (b'{"a":1}nonsense {"b":2}\n{"c":3}', [b'{"a":1}', b'nonsense {"b":2}', b'{"c":3}']),
        (b'[{"a":1}]\n', [b'[{"a":1}]']),
        (b"", []),
    ],
)
def test_objects_of_the_reference_however_they_were_joined(text, expected):
    found = [piece.strip() for piece in foreign_lines(text)]

    assert expected == found


def test_many_objects_on_one_line_take_linear_time():
    count = 20_000
    joined = b"".join(line(event_id=str(number)) for number in range(count))

    found = foreign_lines(joined)

    assert count == len(found)
    assert line(event_id="19999") == found[-1]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (line() + b"\n" + line(), [True, True]),
        (line() + line(), [False]),
        (line() + b"\n\n" + line() + b"\n", [True, False, True]),
        # A name with a line separator falls apart, as it did there.
        (orjson.dumps({**EVENT, "channel_name": "a\u2028b"}), [False, False]),
        (b"\xff" + line(), [False]),
        (b'{"event_type":"x","event_ts":NaN,"tab_id":"t"}', [True]),
        (b"[1]\n5", [False, False]),
    ],
)
def test_strict_reading_repeats_the_reference(text, valid):
    assert valid == [decode_line(found) is not None for found in strict_lines(text)]


def test_content_is_decompressed_by_its_first_bytes_and_not_by_its_name():
    members = gzip.compress(b"one\n") + gzip.compress(b"two\n")

    assert content("raw/2026/01/05/no-suffix", members) == b"one\ntwo\n"
    assert content("raw/2026/01/05/named.gz", b"one\n") == b"one\n"


def test_a_cut_off_object_is_named():
    with pytest.raises(BrokenObjectError, match=r"cut\.gz"):
        content("cut.gz", gzip.compress(random.Random(1).randbytes(5_000))[:-1_000])


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
    event = decode_line(line(**fields))

    assert isinstance(event, Event)
    assert [expected] == foreign_delivery(DT)([event])


def test_an_archived_line_without_its_stamp_is_an_error_that_names_the_object():
    with pytest.raises(UnreadableLineError, match="line 1 of the-key"):
        columns(
            decode_events(line(received_at=1) + b"\n" + line() + b"\n"),
            DT,
            own_delivery("the-key"),
            first_place=0,
            identified=True,
        )


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
ODD_LINES = st.builds(
    lambda usual, odd: json.dumps({**usual, **odd, "received_at": START}, ensure_ascii=False).encode(),
    st.just(EVENT) | st.just({}),
    st.fixed_dictionaries({}, optional=FIELDS),
) | st.sampled_from([b"", b"x", b"[]", b"\xff", b'{"a":NaN}', b'{"event_type":"a","event_ts":1,"tab_id":"\\ud800"}'])


@settings(deadline=None)
@given(st.lists(ODD_LINES, min_size=1, max_size=20))
def test_both_ways_of_reading_give_the_same_columns(lines):
    text = b"".join(each + b"\n" for each in lines)

    quick = columns(decode_events(text), DT, own_delivery("k"), first_place=7, identified=True)
    slow = pa.Table.from_batches(batches(RawLine(7 + at, DT, each) for at, each in enumerate(lines)))

    # What no counting looks at: the flags of a line that is no event.
    flags = [{"background": None, "ad": None} if not row["valid"] else {} for row in slow.to_pylist()]
    assert slow.to_pylist() == [row | none for row, none in zip(quick.to_pylist(), flags, strict=True)]


def test_lines_that_are_not_to_be_told_apart_keep_their_client():
    batch = columns(
        decode_events(line(client_session_id="c", event_id="e", seq=1, seq_epoch="p") + b"\n"),
        DT,
        foreign_delivery(DT),
        first_place=0,
        identified=False,
    )

    row = batch.to_pylist()[0]

    assert (row["client"], row["event_id"], row["seq"], row["seq_epoch"]) == (b"c", None, None, None)
