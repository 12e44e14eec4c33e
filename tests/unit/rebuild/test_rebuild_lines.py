"""How raw objects of either kind become lines, and lines columns."""

from __future__ import annotations

import gzip
import random

import orjson
import pytest

from sinks.rebuild_lines import BrokenObjectError, content, foreign_lines, strict_lines
from streams.contract.days import day_start_ms
from streams.contract.event import decode_line

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
        (b'{"event_type":"x","event_ts":1e999,"tab_id":"t","more":-1e999}', [True]),
        # JavaScript that cuts a text inside an emoji leaves half a surrogate pair.
        (b'{"event_type":"x","event_ts":1,"tab_id":"t","channel_name":"\\ud83d"}', [True]),
        (b"[1]\n5", [False, False]),
    ],
)
def test_strict_reading_repeats_the_reference(text, valid):
    assert valid == [decode_line(found) is not None for found in strict_lines(text)]


def test_content_is_decompressed_by_its_first_bytes_and_not_by_its_name():
    members = gzip.compress(b"one\n") + gzip.compress(b"two\n")

    assert content("raw/2026/01/05/no-suffix", members, may_be_plain=True) == b"one\ntwo\n"
    assert content("raw/2026/01/05/named.gz", b"one\n", may_be_plain=True) == b"one\n"


def test_a_cut_off_object_is_named():
    with pytest.raises(BrokenObjectError, match=r"cut\.gz"):
        content("cut.gz", gzip.compress(random.Random(1).randbytes(5_000))[:-1_000], may_be_plain=True)


@pytest.mark.parametrize("body", [b"", b"one\n", b"\x1f\x8b\x08\x00" + bytes(6) + b"\xff" * 20])
def test_what_the_archive_wrote_is_gzip_and_nothing_else(body):
    with pytest.raises(BrokenObjectError, match="the-key is damaged"):
        content("the-key", body, may_be_plain=False)
