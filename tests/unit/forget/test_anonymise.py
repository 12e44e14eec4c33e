"""What remains of a forgotten client's lines: nothing that names it, and everything that counts."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.anonymise import Anonymiser
from sinks.reconcile import Recount
from streams.contract.days import dt_of_ms
from streams.contract.event import FORGOTTEN_PREFIX, split_lines
from streams.contract.rows import CLIENT, TABLES
from tests.plain_lines import take_in

NOW = 1_773_186_900_000
ME = "client-é-1"
KEY = bytes(32)
USUAL = {
    "schema": 1,
    "event_id": "event-1",
    "event_ts": NOW,
    "event_type": "watch_tick",
    "client_session_id": ME,
    "tab_id": "tab-77",
    "video_id": "dQw4",
    "video_session_id": "vs-9",
    "channel_name": "Böse Eule",
    "channel_url": "https://www.youtube.com/@eule",
    "url": "https://www.youtube.com/watch?v=dQw4&list=private",
    "watch_ms_delta": 10_000,
    "watch_mode": "background",
    "tz_offset_min": -60,
    "seq": 5,
    "seq_epoch": "epoch-3",
    "page_type": "shorts",
    "something_new": "my name",
    "received_at": NOW,
    "client_id": ME,
}


def anonymised(fields, *, key=KEY):
    text, changed = Anonymiser(ME, key).lines(split_lines(orjson.dumps(fields) + b"\n"))
    return orjson.loads(text), changed


def test_what_counts_stays_and_what_tells_goes():
    fields, changed = anonymised(USUAL)

    told = json.dumps(fields, ensure_ascii=False)
    assert changed == 1
    assert [word for word in (ME, "event-1", "tab-77", "vs-9", "epoch-3", "http", "my name") if word in told] == []
    assert {
        name: USUAL[name]
        for name in (
            "schema",
            "event_ts",
            "event_type",
            "video_id",
            "channel_name",
            "watch_ms_delta",
            "watch_mode",
            "tz_offset_min",
            "seq",
            "page_type",
            "received_at",
        )
    }.items() <= fields.items()
    assert fields["client_id"] == fields["client_session_id"]
    assert fields["client_id"].startswith(FORGOTTEN_PREFIX)


def test_ids_are_equal_for_equal_within_a_field_and_a_key():
    first, _ = anonymised(USUAL)
    again, _ = anonymised({**USUAL, "seq": 6})
    other, _ = anonymised({**USUAL, "event_id": "event-2", "seq_epoch": "event-1"})
    elsewhere, _ = anonymised(USUAL, key=bytes(31) + b"1")

    assert first["event_id"] == again["event_id"] != other["event_id"]
    assert first["event_id"] != other["seq_epoch"]
    assert first["client_id"] == other["client_id"] != elsewhere["client_id"]


def test_lines_of_others_keep_their_bytes():
    others = b'{"client_id": "x",  "client_session_id":"y","url":"https://a/%s"}\n' % ME.encode()

    assert (others, 0) == Anonymiser(ME, KEY).lines(split_lines(others))


def test_the_session_id_goes_from_the_lines_of_another_install_of_the_same_profile():
    fields, changed = anonymised({**USUAL, "client_id": "install-2"})

    assert changed == 1
    assert (fields["client_id"], fields["event_id"]) == ("install-2", "event-1")
    assert ME not in json.dumps(fields, ensure_ascii=False)


@pytest.mark.parametrize("spelling", [ME.encode(), orjson.dumps(ME)[1:-1]])
def test_a_broken_line_that_names_the_client_stays_broken_and_says_nothing(spelling):
    broken = b'{"client_id":"' + spelling + b'","url":"https://cut o'

    text, changed = Anonymiser(ME, KEY).lines(split_lines(broken + b"\n" + b"not json\n"))

    assert (text, changed) == (b"{}\nnot json\n", 1)


def test_an_id_that_is_escaped_in_its_line_is_found():
    escaped = json.dumps(USUAL, ensure_ascii=True).encode()
    assert ME.encode() not in escaped

    _, changed = Anonymiser(ME, KEY).lines(split_lines(escaped + b"\n"))

    assert changed == 1


ODD = st.sampled_from([None, "", 0, 1.0, True, [], {"a": 1}, "x", 2**63, 10**30])
FIELDS = {
    "event_type": st.sampled_from(["watch_tick", "video_start", "made-up"]) | ODD,
    "event_ts": st.sampled_from([NOW - 1, NOW - 9 * 86_400_000]) | ODD,
    "tab_id": ODD,
    "event_id": st.sampled_from(["e1", "e2"]) | ODD,
    "client_id": st.sampled_from([ME, "other"]) | ODD,
    "client_session_id": st.sampled_from([ME, "other"]) | ODD,
    "video_id": st.sampled_from(["v", "w"]) | ODD,
    "channel_name": st.sampled_from(["c", "d"]) | ODD,
    "watch_ms_delta": st.sampled_from([10, 60_001]) | ODD,
    "watch_mode": st.sampled_from(["foreground", "background"]) | ODD,
    "ad": ODD,
    "seq": st.sampled_from([0, 1, -1]) | ODD,
    "seq_epoch": st.sampled_from(["p", "q"]) | ODD,
    "tz_offset_min": st.sampled_from([600, 841]) | ODD,
}
SMALL = {name: USUAL[name] for name in ("event_type", "event_ts", "tab_id", "client_id", "video_id", "watch_ms_delta")}
LINES = st.builds(
    lambda usual, odd: json.dumps({**usual, **odd, "received_at": NOW}).encode(),
    st.just(SMALL) | st.just({}),
    st.fixed_dictionaries({}, optional=FIELDS),
) | st.sampled_from([b"", b"x", b"[]", b"{}", ME.encode()])


def counted(lines, rule):
    recount = Recount(dt_of_ms(NOW), rule, None)
    try:
        take_in(recount, lines, dt_of_ms(NOW))
        recount.judge()
        return {
            table.name: sorted(recount.connection.execute(f"FROM expected_{table.name}").fetchall(), key=repr)
            for table in TABLES
        }
    finally:
        recount.close()


@settings(max_examples=25)
@given(st.lists(LINES, min_size=1, max_size=25), st.sampled_from(["event", "received", "local"]))
def test_counting_comes_to_the_same_without_the_client(lines, rule):
    text, _ = Anonymiser(ME, KEY).lines(list(lines))

    before, after = counted(lines, rule), counted(text.split(b"\n")[:-1], rule)

    # Its own row is what is to go, and no row of a replacement comes.
    before[CLIENT.name] = [row for row in before[CLIENT.name] if row[1] != ME.encode()]
    assert before == after
