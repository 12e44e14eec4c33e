"""The fold as a whole: against the plain one, however it is cut, and across restarts at any record."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from streams.contract.keys import PartialKey
from streams.fold_settings import FoldSettings, SettingsChangedError
from streams.partition_state import PartitionState
from streams.state_records import MARKER_KEY, Marker, NewerStateError, Share, decode, encode, is_piece_key
from tests.unit.streams.folding import TOPIC_ID, Topics, fold, folded, published, put, settings_of
from tests.unit.streams.plain_fold import DAY, HOUR, plain_rows
from tests.unit.streams.raw_logs import PARTITIONS, START_MS, raw_logs

RULES = ["event", "received", "local"]

quick = settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain a failure takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)


def windows(state: PartitionState) -> dict[str, Any]:
    """The windows of repeats in memory, in a form that compares."""
    return {
        client_id: (
            client.hour,
            {name: (epoch.intervals, tuple(epoch.touched)) for name, epoch in client.epochs.items()},
            (bytes(client.ring.hashes), client.ring.count) if client.ring else None,
        )
        for client_id, client in state.clients._clients.items()
    }


#: A flag for each record of a log.
flags = st.integers(0, 2**14 - 1).map(lambda bits: [bool(bits >> n & 1) for n in range(14)])


@pytest.mark.parametrize("rule", RULES)
@given(records=raw_logs(), commits=flags, restarts=flags)
@quick
def test_the_sums_are_those_of_the_plain_fold(rule, records, commits, restarts):
    topics = folded(records, settings_of(rule, shards=3, client_table=True), commits, restarts)

    assert published(topics) == plain_rows(records, rule, client_table=True)


@given(records=raw_logs(long_gaps=True), commits=flags, restarts=flags)
@quick
def test_the_same_over_weeks_in_which_days_close_and_clients_leave(records, commits, restarts):
    topics = folded(records, settings_of(), commits, restarts)

    assert published(topics) == plain_rows(records)


@given(records=raw_logs(forget=True), commits=flags, restarts=flags)
@quick
def test_the_same_with_clients_that_are_forgotten_in_between(records, commits, restarts):
    topics = folded(records, settings_of(client_table=True), commits, restarts)

    assert published(topics) == plain_rows(records, client_table=True)


# No client table here: rows of days that have left memory are not withdrawn with a forgotten client.
@given(records=raw_logs(long_gaps=True, forget=True), commits=flags, restarts=flags)
@quick
def test_batches_and_restarts_leave_no_trace_in_the_state(records, commits, restarts):
    how = settings_of()
    whole = folded(records, how, [False] * 14, [False] * 14)
    cut = folded(records, how, commits, restarts)

    for p in range(PARTITIONS):
        assert shares(cut.state[p]) == shares(whole.state[p])
        restored = PartitionState.restored(p, how, cut.state[p])
        assert windows(restored) == windows(PartitionState.restored(p, how, whole.state[p]))
        # Nothing is to be written for having been restored, but that clients left meanwhile.
        written = [(key, value) for key, value in restored.take_changes().state if value is not None]
        assert written == [(MARKER_KEY, cut.state[p][MARKER_KEY])]


def shares(state: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in state.items() if not is_piece_key(key)}


@given(records=raw_logs(long_gaps=True, forget=True), housekeeping=flags)
@quick
def test_what_is_stored_is_what_is_in_memory_at_any_record(records, housekeeping):
    how = settings_of()
    topics = Topics()
    states = [PartitionState(p, how) for p in range(PARTITIONS)]
    for record, tidy in zip(records, housekeeping, strict=False):
        state = states[record.p]
        fold(state, record)
        if tidy:
            state.drop_old()
            state.clients.refresh(record.broker_ms // HOUR)
        topics.commit(state)
        restored = PartitionState.restored(record.p, how, topics.state[record.p])

        # Those that are to leave may stay in memory until the hourly housekeeping.
        hour = state.log_ms // HOUR
        here = {name: window for name, window in windows(state).items() if hour - window[0] <= 35 * 24}
        assert windows(restored) == here
        assert (restored.offset, restored.log_ms) == (state.offset, state.log_ms)
    assert published(topics) == plain_rows(records)


@given(records=raw_logs(), housekeeping=flags)
@quick
def test_housekeeping_changes_no_sum(records, housekeeping):
    topics = Topics()
    states = [PartitionState(p, settings_of()) for p in range(PARTITIONS)]
    for record, tidy in zip(records, housekeeping, strict=False):
        fold(states[record.p], record)
        if tidy:
            states[record.p].drop_old()
    for state in states:
        topics.commit(state)

    assert published(topics) == plain_rows(records)


def tick(n: int, event_ts: int, **more: Any) -> bytes:
    event = {"event_type": "watch_tick", "event_ts": event_ts, "tab_id": "t", "video_id": "v", "watch_ms_delta": 5}
    return orjson.dumps({**event, "event_id": f"id-{n}", "client_id": "ann", **more}) + b"\n"


def stored(state: PartitionState) -> dict[bytes, bytes]:
    topic: dict[bytes, bytes] = {}
    put(topic, state.take_changes().state)
    return topic


def test_days_out_of_reach_leave_memory_but_not_the_last_transaction():
    state = PartitionState(0, settings_of())
    state.fold(0, START_MS, tick(1, START_MS))
    state.fold(1, START_MS + 12 * DAY, tick(2, START_MS + 12 * DAY))
    state.drop_old()

    days = {PartialKey.decode(key).dt for key, _ in state.take_changes().partials[0]}
    assert days == {"2025-10-09", "2025-10-21"}
    state.fold(2, START_MS + 12 * DAY, tick(3, START_MS + 12 * DAY))
    assert {PartialKey.decode(key).dt for key, _ in state.take_changes().partials[0]} == {"2025-10-21"}


def test_the_last_day_that_can_still_be_reached_is_restored():
    state = PartitionState(0, settings_of())
    state.fold(0, START_MS, tick(1, START_MS - 7 * DAY))
    late = START_MS + HOUR
    restored = PartitionState.restored(0, settings_of(), stored(state))
    restored.fold(1, late, tick(2, late - 7 * DAY))

    counted = {PartialKey.decode(key).kind: decode(Share, value) for key, value in restored.take_changes().partials[0]}
    assert counted["video"].counters == [10, 0, 0, 0]


def test_a_client_is_forgotten_in_rows_that_nothing_has_touched_since_a_restart():
    how = settings_of(client_table=True)
    state = PartitionState(0, how)
    state.fold(0, START_MS, tick(1, START_MS, client_id="cy|0") + tick(2, START_MS - DAY, client_id="cy|0"))
    state.fold(1, START_MS, tick(3, START_MS, client_id="bob"))
    restored = PartitionState.restored(0, how, stored(state))
    restored.forget(2, START_MS, "cy|0")

    changes = restored.take_changes()
    withdrawn = {key for key, value in changes.partials[0] if value is None}
    assert {(PartialKey.decode(key).kind, PartialKey.decode(key).row_id) for key in withdrawn} == {("client", "cy|0")}
    assert len(withdrawn) == 2
    assert withdrawn <= {key for key, value in changes.state if value is None}


def test_restored_days_leave_the_memory_when_they_are_old():
    state = PartitionState(0, settings_of())
    state.fold(0, START_MS, tick(1, START_MS))
    restored = PartitionState.restored(0, settings_of(), stored(state))
    later = START_MS + 12 * DAY
    restored.fold(1, later, tick(2, later))
    assert len(restored._aggregates) > len(state._aggregates)

    restored.drop_old()
    assert len(restored._aggregates) == len(state._aggregates)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"partitions": 5}, "partitions=3"),
        ({"shards": 2}, "shards=1"),
        ({"day_rule": "local"}, "day_rule='event'"),
        ({"client_table": True}, "client_table=False"),
        ({"topic_id": uuid.UUID(int=8)}, "topic_id="),
    ],
)
def test_other_settings_than_those_of_the_state_are_refused(changed, named):
    how = {"partitions": 3, "shards": 1, "day_rule": "event", "client_table": False, "topic_id": TOPIC_ID}
    topic = stored(PartitionState(2, FoldSettings(**how)))

    with pytest.raises(SettingsChangedError, match=named) as refusal:
        PartitionState.restored(2, FoldSettings(**{**how, **changed}), topic)
    assert ("a new stack" if changed.keys() & {"partitions", "shards"} else "watchtime refold") in str(refusal.value)
    assert "partition 2" in str(refusal.value)


def test_state_of_a_newer_release_is_refused():
    topic = stored(PartitionState(0, settings_of()))
    marker = decode(Marker, topic[MARKER_KEY])
    marker.v = 99
    topic[MARKER_KEY] = encode(marker)

    with pytest.raises(NewerStateError, match="version 99"):
        PartitionState.restored(0, settings_of(), topic)


def test_an_empty_record_and_a_control_record_move_the_marker_only():
    state = PartitionState(0, settings_of())
    state.fold(4, START_MS, b"")
    assert stored(state).keys() == {MARKER_KEY}
    state.forget(5, START_MS + 1, "never seen")
    topic = stored(state)
    assert topic.keys() == {MARKER_KEY}
    assert decode(Marker, topic[MARKER_KEY]).offset == 5


@pytest.mark.parametrize("restart", [False, True])
def test_a_client_that_comes_back_after_weeks_is_new(restart):
    state, topic = PartitionState(0, settings_of()), {}
    for n in range(100):  # ids in two slots
        state.fold(n, START_MS, tick(n, START_MS) + tick(n, START_MS, seq=n, seq_epoch="old"))
    put(topic, state.take_changes().state)
    # The worker learns from somebody else's record that the client left, and may be restarted before its next tidying.
    state.fold(100, START_MS + 36 * DAY, tick(0, START_MS + 36 * DAY, client_id="bob"))
    put(topic, state.take_changes().state)
    if restart:
        state = PartitionState.restored(0, settings_of(), topic)
    back = START_MS + 36 * DAY
    for n in range(70):
        state.fold(101 + n, back, tick(n, back) + tick(n, back, seq=n, seq_epoch="new"))
    put(topic, state.take_changes().state)

    restored = windows(PartitionState.restored(0, settings_of(), topic))
    assert restored == {name: window for name, window in windows(state).items() if window[0] == back // HOUR}
    assert restored["ann"][1] == {"new": ([0, 69], (170, 1))}
    assert restored["ann"][2][1] == 70


def test_a_forgotten_client_is_new_when_it_comes_back():
    state = PartitionState(0, settings_of())
    topic: dict[bytes, bytes] = {}
    state.fold(0, START_MS, tick(1, START_MS) + tick(2, START_MS, seq=1, seq_epoch="a"))
    put(topic, state.take_changes().state)
    state.forget(1, START_MS, "ann")
    put(topic, state.take_changes().state)
    assert not any(is_piece_key(key) for key in topic)

    restored = PartitionState.restored(0, settings_of(), topic)
    restored.fold(2, START_MS, tick(1, START_MS))
    put(topic, restored.take_changes().state)
    ingest = next(decode(Share, value) for key, value in topic.items() if b"|ingest|" in key)
    assert ingest.counters[:2] == [3, 3]
