"""The stored form of the state: versions, absent fields, keys with any characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.state_records import (
    ClientPiece,
    EpochPiece,
    Marker,
    NewerStateError,
    Share,
    SlotPiece,
    client_key,
    decode,
    decode_for_refold,
    decode_piece_key,
    encode,
    epoch_key,
    is_piece_key,
    slot_key,
)


@pytest.mark.parametrize("shape", [Share, Marker, EpochPiece, SlotPiece, ClientPiece])
def test_absent_fields_have_their_defaults_and_unknown_ones_are_passed_over(shape):
    assert decode(shape, b'{"v":1,"of_a_later_release":[1]}') == shape(v=1)


def test_values_come_back_whole():
    for value in (
        Share(v=1, offset=7, counters=[1, 2, 3, 2**62], updated_at=9, channel='a"|\u2028', channel_ts=8, generation=2),
        EpochPiece(v=1, hour=4, touched=(7, 2), intervals=[0, 2**53 - 1]),
        SlotPiece(v=1, hour=4, count=70, hashes=bytes(range(64))),
        Marker(v=1, offset=0, log_ms=5, partitions=4, shards=2, day_rule="local", client_table=True, topic_id="ab"),
    ):
        assert decode(type(value), encode(value)) == value


@given(st.text(), st.text())
def test_piece_keys_come_back_whole(client_id, name):
    assert decode_piece_key(epoch_key(client_id, name)) == ("epoch", client_id, name)
    assert decode_piece_key(slot_key(client_id, 15)) == ("slot", client_id, 15)
    assert decode_piece_key(client_key(client_id)) == ("client", client_id, None)
    assert all(is_piece_key(key) for key in (epoch_key(client_id, name), slot_key(client_id, 0), client_key(client_id)))
    assert not is_piece_key(f"2025-10-09|video|{name}|0".encode())


@pytest.mark.parametrize("value", [b'{"v":2,"counters":{}}', b'{"v":2,"channel":7}'])
def test_a_newer_release_is_named_though_its_values_have_another_shape(value):
    with pytest.raises(NewerStateError, match="a Share of version 2"):
        decode(Share, value)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b"", (0, "")),
        (b'{"v":1,"offset":5,"gener', (0, "")),
        (b'{"v":1,"offset":"five","generation":3,"first_dt":"2026-01-02"}', (3, "2026-01-02")),
        (b'{"v":2,"offset":5,"generation":3,"first_dt":"2026-01-02"}', (3, "2026-01-02")),
        (b'{"v":2,"generation":"third"}', (0, "")),
        (b'{"v":1,"day_rule":"\xff","first_dt":"\xff"}', (0, "")),
    ],
)
def test_a_refold_takes_from_a_marker_that_cannot_be_read_what_can(value, known):
    marker = decode_for_refold(value, "topic")
    assert (marker.offset, marker.topic_id, marker.generation, marker.first_dt) == (-1, "topic", *known)


def test_a_refold_sees_that_a_marker_that_cannot_be_read_was_of_another_topic():
    assert decode_for_refold(b'{"v":2,"topic_id":"another"}', "topic").topic_id == "another"
