from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.lines import archived
from streams.contract.days import MAX_CLOCK_SKEW_MS

BROKER = 1_795_520_304_157
EVENT = b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t",'


@pytest.mark.parametrize("skew", [0, 1, -1, MAX_CLOCK_SKEW_MS, -MAX_CLOCK_SKEW_MS])
def test_a_line_whose_stamp_is_used_is_kept_byte_for_byte(skew):
    line = b'{ "event_type" : "x","received_at": %d ,"odd":1.50,"s":"\\u00e9"}' % (BROKER + skew)

    assert archived(line + b"\n", BROKER) == line + b"\n"


@pytest.mark.parametrize("odd", [b'"x"', b"null", b"[1]", b"5"])
def test_the_last_of_two_stamps_counts(odd):
    line = b'{"received_at":%b,"a":1,"received_at":%d}' % (odd, BROKER + 1)

    assert archived(line, BROKER) == line + b"\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"%d" % (BROKER + MAX_CLOCK_SKEW_MS + 1),
        b"%d" % (BROKER - MAX_CLOCK_SKEW_MS - 1),
        b"null",
        b"true",
        b'"%d"' % BROKER,
        b"%d.0" % BROKER,
        b"99999999999999999999999999",
        b"[1]",
        b"{}",
    ],
)
def test_a_stamp_that_is_not_used_is_replaced_and_all_else_keeps_its_bytes(sent):
    line = EVENT + b'"a":1.50,"received_at":%b,"big":123456789012345678901234567890,"s":"\\u2028<"}' % sent

    expected = EVENT + b'"a":1.50,"received_at":%d,"big":123456789012345678901234567890,"s":"\\u2028<"}\n' % BROKER
    assert archived(line, BROKER) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a":1}', b'{"received_at":%d,"a":1}'),
        (b'{"a":{"received_at":5}}', b'{"received_at":%d,"a":{"received_at":5}}'),
        (b"{}", b'{"received_at":%d}'),
        (b" { } ", b' {"received_at":%d } '),
        (b'\t{"a":"}"}\r', b'\t{"received_at":%d,"a":"}"}\r'),
    ],
)
def test_a_line_without_a_stamp_gets_one_in_front(line, expected):
    assert archived(line, BROKER) == expected % BROKER + b"\n"


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"x", b"[1,2]", b'"s"', b"5", b"null", b'{"a":1', b'{"a":NaN}', b'{"a":"\\ud800"}', b"\xff\xfe"],
)
def test_what_is_no_object_is_kept_as_it_is(line):
    assert archived(line + b"\n", BROKER) == line + b"\n"


def test_lines_are_split_at_newlines_only_and_each_ends_with_one():
    good = b'{"received_at":%d,"s":"\xe2\x80\xa8"}' % BROKER
    value = b"\n".join([good, b"", b"junk\r", good])

    assert archived(value, BROKER) == value + b"\n"
    assert archived(value + b"\n", BROKER) == value + b"\n"
    assert archived(b"\n", BROKER) == b"\n"


def test_of_duplicate_stamps_the_last_one_counts():
    line = b'{"received_at":%d,"received_at":%d}' % (BROKER, BROKER + 1)

    assert archived(line, BROKER) == line + b"\n"
    assert archived(b'{"received_at":%d,"received_at":7}' % BROKER, BROKER) == b'{"received_at":%d}\n' % BROKER


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text() | st.just("received_at"), _JSON, max_size=5), st.booleans())
def test_any_object_keeps_its_fields_and_gets_the_stamp_that_counts(fields, ascii_only):
    line = json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    sent = fields.get("received_at")
    used = sent if type(sent) is int and abs(sent - BROKER) <= MAX_CLOCK_SKEW_MS else BROKER

    kept = archived(line, BROKER)

    assert json.loads(kept) == {**fields, "received_at": used}
    assert archived(kept, BROKER) == kept, "archiving again changes nothing"


@given(st.binary(max_size=60))
def test_any_bytes_keep_their_lines(value):
    kept = archived(value, BROKER)

    assert kept.count(b"\n") == value.count(b"\n") + (not value.endswith(b"\n") and value != b"")
    for before, after in zip(value.split(b"\n"), kept.split(b"\n"), strict=False):
        try:
            is_object = isinstance(orjson.loads(before), dict)
        except orjson.JSONDecodeError:
            is_object = False
        assert is_object or before == after


@pytest.mark.parametrize("odd", [b"1e400", b"[" * 5_000 + b"]" * 5_000], ids=["beyond a double", "nested"])
def test_a_line_that_the_fold_takes_for_no_event_stays_as_it_is(odd):
    line = EVENT + b'"received_at":%b}' % odd

    assert archived(line, BROKER) == line + b"\n"
