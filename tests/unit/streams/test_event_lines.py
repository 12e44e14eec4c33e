"""Lines of a raw record: which are events, and which of their fields count."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contract.event import Event, decode_events, decode_line, int64_or_none, split_lines
from tests.unit.streams.plain_fold import integer, parsed
from tests.unit.streams.raw_logs import line

START = b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t"'
VALID = START + b"}"
BASE = Event(event_type="watch_tick", event_ts=1, tab_id="t")
DEEP = b"[" * 100_000


def with_field(field: bytes) -> bytes:
    return START + b"," + field + b"}"


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        (b'"seq":7', "seq", 7),
        (b'"seq":-0', "seq", 0),
        (b'"seq":7.0', "seq", None),
        (b'"seq":7e0', "seq", None),
        (b'"seq":true', "seq", None),
        (b'"seq":"7"', "seq", None),
        (b'"seq":null', "seq", None),
        (b'"seq":9223372036854775807', "seq", 2**63 - 1),
        (b'"seq":"x","seq":3', "seq", 3),
        (b'"seq":3,"seq":null', "seq", None),
        (b'"watch_ms_delta":false', "watch_ms_delta", None),
        (b'"video_id":5', "video_id", None),
        (b'"video_id":""', "video_id", ""),
        (b'"video_id":"a","video_id":"b"', "video_id", "b"),
        (b'"video\\u005fid":"a"', "video_id", "a"),
        ('"video_id":"\u2028\u0085"'.encode(), "video_id", "\u2028\u0085"),
        (b'"video_id":"\\ud83d\\ude00"', "video_id", "\U0001f600"),
        (b'"ad":true', "ad", True),
        (b'"tz_offset_min":-60', "tz_offset_min", -60),
        (b'"channel_name":["x"]', "channel_name", None),
        (b'"received_at":1e3', "received_at", None),
        (b'"unknown":{"event_ts":null}', "video_id", None),
    ],
)
def test_a_field_of_an_odd_type_reads_as_absent(field, name, value):
    event = decode_line(with_field(field))

    assert event is not None
    assert getattr(event, name) == value


@pytest.mark.parametrize("field", [b'"ad":1', b'"ad":"true"', b'"ad":null', b'"ad":false', b'"ad":[true]'])
def test_only_true_is_an_advertisement(field):
    event = decode_line(with_field(field))

    assert event is not None
    assert event.ad is not True


@pytest.mark.parametrize("digits", ["9223372036854775808", "-9223372036854775809", "1" + "0" * 300])
def test_a_number_beyond_64_bits_never_counts(digits):
    event = decode_line(with_field(b'"seq":%s,"seq_epoch":"e"' % digits.encode()))

    assert event is not None
    assert event.seq is None or not 0 <= event.seq < 2**63


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"\r",
        b"null",
        b"1",
        b'"x"',
        b"[1]",
        b"[]",
        b"{}",
        b"{",
        VALID + b"x",
        VALID + VALID,
        VALID[:-1],
        b"\xef\xbb\xbf" + VALID,
        with_field(b'"url":"\xff"'),
        with_field(b'"url":"\xed\xa0\x80"'),
        with_field(b'"seq":"x","url":"\xff"'),
        with_field(b'"seq":"x","url":'),
        with_field(b'"x":NaN'),
        with_field(b'"x":Infinity'),
        with_field(b'"x":01'),
        with_field(b'"x":"a\tb"'),
        with_field(b'"x":1,'),
        with_field(b'"event_ts":null'),
        with_field(b'"tab_id":null'),
        with_field(b'"seq":"x","event_type":null'),
        b'{"event_ts":1,"tab_id":"t"}',
        b'{"event_type":"a","tab_id":"t"}',
        b'{"event_type":"a","event_ts":1}',
        DEEP,
        with_field(b'"x":' + DEEP),
        with_field(b'"seq":"x","x":' + DEEP),
        with_field(b'"x":' + DEEP + b"]" * len(DEEP)),
    ],
    ids=lambda text: repr(text[:60]),
)
def test_invalid_lines(text):
    assert decode_line(text) is None
    assert list(decode_events(text + b"\n" + VALID + b"\n")) == [None, BASE]


@pytest.mark.parametrize(
    "text",
    [b'{"event_type":7,"event_ts":"soon","tab_id":[]}', b'{"event_type":"","event_ts":false,"tab_id":0}'],
)
def test_a_line_is_valid_whatever_type_its_base_fields_have(text):
    assert decode_line(text) is not None


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (b"", []),
        (b"\n", [False]),
        (VALID, [True]),
        (VALID + b"\n", [True]),
        (VALID + b"\n\n", [True, False]),
        (b"\n" + VALID, [False, True]),
        (VALID + b"\r\n" + VALID + b"\r", [True, True]),
        (b" " + VALID + b"\t\n", [True]),
        (VALID + b"\x0b\n", [False]),
        (VALID + VALID + b"\n\n", [False, False]),
        (VALID + b" " + VALID + b"\n \n", [False, False]),
        (START + b"\n}\n", [False, False]),
        (START + b',"x":\n{"y":1}}' + VALID, [False, False]),
        (VALID + START + b',"x":{}\n}\n', [False, False]),
        (VALID + "\u2028\n".encode(), [False]),
        (with_field('"url":"\u2028\u2029\x85"'.encode()) + b"\n" + VALID, [True, True]),
        (b"\xff\n" + VALID + b"\n\xff", [False, True, False]),
    ],
)
def test_lines_end_at_newlines_only(value, valid):
    assert [event is not None for event in decode_events(value)] == valid
    assert list(decode_events(value)) == [decode_line(text) for text in split_lines(value)]


pieces = st.one_of(
    st.builds(line, st.integers(0, 2**32 - 1), st.just("c"), st.just(1_760_000_000_000)),
    st.sampled_from([VALID, b"", b" ", b"\n", b"{", b"}", b'{"a":', b"[", b"]", b",", b"\xff", b"\r", b'"', b"1"]),
    st.binary(max_size=4),
)


@given(st.lists(pieces, max_size=6), st.sampled_from([b"", b"\n", b" ", b"\n\n"]))
@settings(max_examples=150)
def test_a_record_decodes_as_its_lines_do(parts, between):
    value = between.join(parts)

    assert list(decode_events(value)) == [decode_line(text) for text in split_lines(value)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
FIELD_TYPES = dict.fromkeys(("video_id", "channel_name", "watch_mode", "seq_epoch", "event_id", "client_id"), str)
FIELD_TYPES |= dict.fromkeys(("watch_ms_delta", "seq", "received_at", "tz_offset_min"), int)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("event_type", "event_ts", "tab_id"), json_values),
        optional={**dict.fromkeys(FIELD_TYPES, json_values), "extra": json_values},
    ),
    st.booleans(),
)
@settings(max_examples=150)
def test_any_object_decodes_as_plain_json_does(event, ascii_only):
    text = json.dumps(event, ensure_ascii=ascii_only).encode(errors="replace")
    expected = parsed(text)
    assert expected is not None
    decoded = decode_line(text)

    if any(expected[name] is None for name in ("event_type", "event_ts", "tab_id")):
        assert decoded is None
        return
    assert decoded is not None
    for name, kind in FIELD_TYPES.items():
        value = expected.get(name)
        usable = value if isinstance(value, kind) and not isinstance(value, bool) else None
        found = getattr(decoded, name)
        assert (integer(found) if kind is int else found) == (integer(usable) if kind is int else usable)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (-(2**63), -(2**63)), (2**63, None), (True, None), (1.0, None), ("1", None), (None, None)],
)
def test_what_an_int_is(value, expected):
    assert int64_or_none(value) == expected
    assert type(int64_or_none(value)) is type(expected)
