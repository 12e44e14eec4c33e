"""The window of repeats against plain sets and queues, within its limits and beyond."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams import dedupe
from streams.contract.event import MAX_SEQ, Event
from streams.dedupe import MAX_EPOCHS, MAX_INTERVALS, RING_IDS, Client, Dedupe, Epoch, Ring

KEY = bytes(range(32))


def intervals_of(numbers: set[int]) -> list[int]:
    """Inclusive intervals, plainly."""
    ends = [n for n in sorted(numbers) if n - 1 not in numbers or n + 1 not in numbers]
    return [end for n in ends for end in ([n, n] if n - 1 not in numbers and n + 1 not in numbers else [n])]


@given(st.lists(st.integers(0, 40)))
@example([5, 3, 4, 5, 0, 1, 2])
def test_an_epoch_is_a_set(numbers):
    epoch, seen = Epoch([], (0, 0)), set()
    for number in numbers:
        assert epoch.add(number) == (number not in seen)
        seen.add(number)
        assert epoch.intervals == intervals_of(seen)


@pytest.mark.parametrize("limit", [2, 5])
@given(numbers=st.lists(st.integers(0, 30)))
def test_beyond_the_limit_the_lowest_gap_counts_as_seen(limit, numbers):
    epoch, seen = Epoch([], (0, 0)), set()
    for number in numbers:
        assert epoch.add(number) == (number not in seen)
        seen.add(number)
        if len(intervals_of(seen)) > 2 * limit:
            _, last, first, *_ = intervals_of(seen)
            gap = set(range(last + 1, first))
            assert epoch.close_lowest_gap() == len(gap)
            seen |= gap
        assert epoch.intervals == intervals_of(seen)


def seq_event(seq: object, epoch: object = "e", event_id: str | None = "id") -> Event:
    return Event(seq=seq, seq_epoch=epoch, event_id=event_id)


def test_an_epoch_keeps_1024_intervals():
    windows, client = Dedupe(KEY), Client(0)
    for n in range(MAX_INTERVALS):
        assert windows.is_first(client, seq_event(3 * n), (n, 0))
    assert windows.given_up == 0
    assert not windows.is_first(client, seq_event(3 * 700), (9_000, 0))

    assert windows.is_first(client, seq_event(3 * MAX_INTERVALS), (9_001, 0))
    assert windows.given_up == 2
    assert len(client.epochs["e"].intervals) == 2 * MAX_INTERVALS == 2_048
    # The one exception to exactness: late first deliveries of the numbers that were given up.
    assert not windows.is_first(client, seq_event(1), (9_002, 0))
    assert not windows.is_first(client, seq_event(2), (9_002, 0))
    assert windows.is_first(client, seq_event(4), (9_003, 0))


def test_a_client_keeps_64_epochs_and_the_one_longest_without_a_new_event_leaves():
    windows, client = Dedupe(KEY), Client(0)
    for n in range(MAX_EPOCHS):
        windows.is_first(client, seq_event(0, f"e{n}"), (n, 0))
    windows.is_first(client, seq_event(1, "e0"), (100, 0))  # news of the oldest one
    windows.is_first(client, seq_event(0, "e1"), (101, 0))  # a repeat is none
    client.changed_epochs = frozenset()

    assert windows.is_first(client, seq_event(0, "new"), (102, 0))
    assert len(client.epochs) == MAX_EPOCHS == 64
    assert client.changed_epochs == {"e1", "new"}
    assert not windows.is_first(client, seq_event(0, "e0"), (103, 0))
    assert windows.is_first(client, seq_event(0, "e1"), (104, 0))


def test_of_epochs_of_one_record_the_earlier_line_leaves_first():
    windows, client = Dedupe(KEY), Client(0)
    for n in reversed(range(MAX_EPOCHS)):
        windows.is_first(client, seq_event(0, f"e{n}"), (7, MAX_EPOCHS - n))
    windows.is_first(client, seq_event(0, "new"), (8, 0))

    assert f"e{MAX_EPOCHS - 1}" not in client.epochs


@pytest.mark.parametrize(
    "event", [seq_event(-1), seq_event(MAX_SEQ + 1), seq_event(0, ""), seq_event(0, None), seq_event(None)]
)
def test_without_a_usable_number_the_id_decides(event):
    windows, client = Dedupe(KEY), Client(0)

    assert windows.is_first(client, event, (0, 0))
    assert not windows.is_first(client, event, (1, 0))
    assert not windows.is_first(client, Event(event_id="id"), (2, 0))
    assert not client.epochs


def test_an_event_with_a_number_neither_looks_at_the_ids_nor_enters_them():
    windows, client = Dedupe(KEY), Client(0)

    assert windows.is_first(client, Event(event_id="id"), (0, 0))
    assert windows.is_first(client, seq_event(0), (1, 0))
    assert windows.is_first(client, seq_event(1, event_id="other"), (2, 0))
    assert windows.is_first(client, Event(event_id="other"), (3, 0))
    assert windows.is_first(client, seq_event(MAX_SEQ), (4, 0))
    assert not windows.is_first(client, seq_event(MAX_SEQ), (5, 0))


def test_without_id_and_number_every_event_is_first_and_an_empty_id_is_an_id():
    windows, client = Dedupe(KEY), Client(0)

    assert all(windows.is_first(client, Event(), (n, 0)) for n in range(3))
    assert client.ring is None
    assert windows.is_first(client, Event(event_id=""), (3, 0))
    assert not windows.is_first(client, Event(event_id=""), (4, 0))


@pytest.mark.parametrize("pool", [900, 1_030, 1_500])
def test_the_ring_holds_the_last_1024_ids_across_restores(pool):
    pick = random.Random(pool)
    windows, client, last = Dedupe(KEY), Client(0), deque(maxlen=1_024)
    stored: dict[int, tuple[int, bytes]] = {}
    for n in range(4_000):
        event_id = str(pick.randrange(pool))
        assert windows.is_first(client, Event(event_id=event_id), (n, 0)) == (event_id not in last)
        if event_id not in last:
            last.append(event_id)
        if pick.random() < 0.02:  # what changed is stored, and a restart reads all that is stored
            ring = client.ring
            assert ring
            stored |= {slot: (ring.slot_count(slot), ring.slot(slot)) for slot in client.changed_slots}
            client.changed_slots = frozenset()
            client.ring = Ring.of_slots(stored)
            assert (client.ring.hashes, client.ring.count) == (ring.hashes, ring.count)


def test_a_hash_that_only_appears_across_two_neighbours_is_new():
    ring = Ring()
    ring.add(b"abcdefgh")
    ring.add(b"ijklmnop")

    assert ring.add(b"efghijkl")
    assert not ring.add(b"ijklmnop")
    assert ring.count == 3


def test_hashes_depend_on_the_key():
    rings = []
    for key in (KEY, KEY[::-1]):
        client = Client(0)
        Dedupe(key).is_first(client, Event(event_id="id"), (0, 0))
        rings.append(client.ring.hashes)

    assert rings[0] != rings[1]
    assert len(rings[0]) == dedupe.HASH_BYTES
    assert RING_IDS == 1_024
