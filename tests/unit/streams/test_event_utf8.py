"""Invalid UTF-8 makes a line invalid, however long its record is and wherever it stands."""

from __future__ import annotations

import pytest

from streams.contract.event import decode_events

LINE = '{"event_type":"x","event_ts":1,"tab_id":"t","name":"é🦉"}'.encode()


@pytest.mark.parametrize("count", [1, 3, 400, 2_000])
@pytest.mark.parametrize("place", [0, 0.5, 1])
@pytest.mark.parametrize("broken", [b"\xff", b"\xc3", b"\xf0\x9f\xa6", b"\xed\xa0\x80"])
def test_one_broken_line_among_many(count, place, broken):
    at = round(place * (count - 1))
    lines = [LINE] * count
    lines[at] = LINE.replace("é".encode(), broken)

    events = decode_events(b"\n".join(lines))

    assert [at] == [number for number, event in enumerate(events) if event is None]


@pytest.mark.parametrize("shift", range(8))
def test_characters_across_the_blocks_of_the_check(shift):
    text = LINE.replace(b"x", b"x" * (16_384 + shift)) + b"\n" + LINE + b"\n"

    assert len([event for event in decode_events(text) if event is not None]) == 2
