"""Which events of a client were seen before: interval sets of sequence numbers, and a ring of event ids.

The answer depends on the order of a client's events in the log and on nothing else, so a worker that restores
these values from the state topic answers as one that never stopped.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from typing import Final

from streams.contract.event import MAX_SEQ, Event

MAX_EPOCHS: Final = 64
MAX_INTERVALS: Final = 1_024
RING_SLOTS: Final = 16
SLOT_IDS: Final = 64
RING_IDS: Final = RING_SLOTS * SLOT_IDS
HASH_BYTES: Final = 8
#: An epoch of up to so many interval bounds is a record of a common size.
FEW_BOUNDS: Final = 32
SLOT_BYTES: Final = SLOT_IDS * HASH_BYTES
#: Stands for a slot that the topic's retention took: it held no id that anyone could repeat.
_LOST_SLOT: Final = (0, bytes(SLOT_BYTES))


class Epoch:
    """The sequence numbers seen in one `seq_epoch`, as inclusive intervals [first, last, first, last, …]."""

    __slots__ = ("intervals", "touched")

    def __init__(self, intervals: list[int], touched: tuple[int, int]) -> None:
        self.intervals = intervals
        #: (raw offset, line) of the newest first-seen event: the order in which epochs leave.
        self.touched = touched

    def add(self, seq: int) -> bool:
        """Add a number; return False when it was there."""
        intervals = self.intervals
        # An odd position lies inside an interval: `first` is its left neighbour.
        at = bisect_right(intervals, seq)
        if at % 2 or (at and intervals[at - 1] == seq):
            return False
        joins_left = at > 0 and intervals[at - 1] == seq - 1
        joins_right = at < len(intervals) and intervals[at] == seq + 1
        if joins_left and joins_right:
            del intervals[at - 1 : at + 1]
        elif joins_left:
            intervals[at - 1] = seq
        elif joins_right:
            intervals[at] = seq
        else:
            intervals[at:at] = [seq, seq]
        return True

    def close_lowest_gap(self) -> int:
        """Bound the set: count the lowest gap as seen; return how many numbers that gave up."""
        given_up = self.intervals[2] - self.intervals[1] - 1
        del self.intervals[1:3]
        return given_up


class Ring:
    """The last `RING_IDS` event ids by first acceptance, as keyed hashes, in slots that are stored one by one."""

    __slots__ = ("count", "hashes")

    def __init__(self) -> None:
        self.hashes = bytearray()
        #: Ids accepted so far; the next one goes to position `count % RING_IDS`.
        self.count = 0

    def add(self, digest: bytes) -> bool:
        """Add an id's hash; return False when it is among the last ones."""
        hashes = self.hashes
        at = hashes.find(digest)
        while at % HASH_BYTES and at != -1:  # a match across two neighbours is none
            at = hashes.find(digest, at + 1)
        if at != -1:
            return False
        position = self.count % RING_IDS * HASH_BYTES
        hashes[position : position + HASH_BYTES] = digest
        self.count += 1
        return True

    @property
    def slots_used(self) -> int:
        """How many slots hold ids."""
        return min(-(-self.count // SLOT_IDS), RING_SLOTS)

    @property
    def newest_slot(self) -> int:
        """Number of the slot that holds the id added last."""
        return (self.count - 1) % RING_IDS // SLOT_IDS

    def slot(self, number: int) -> bytes:
        """Return the hashes of a slot."""
        return bytes(self.hashes[number * SLOT_BYTES : (number + 1) * SLOT_BYTES])

    def slot_count(self, number: int) -> int:
        """Return the value of `count` right after the newest write into a slot."""
        before = (self.count - 1) // RING_IDS * RING_IDS + number * SLOT_IDS
        if number > self.newest_slot:
            return before - RING_IDS + SLOT_IDS
        return min(before + SLOT_IDS, self.count)

    @classmethod
    def of_slots(cls, slots: dict[int, tuple[int, bytes]]) -> Ring:
        """Return the ring of stored slots: number -> (`count` after the slot's newest write, hashes)."""
        ring = cls()
        ring.count = max(count for count, _ in slots.values())
        for number in range(ring.slots_used):
            ring.hashes += slots.get(number, _LOST_SLOT)[1]
        return ring


class Client:
    """The window of repeats of one client, and which of its stored pieces have changed."""

    __slots__ = ("changed_epochs", "changed_slots", "epochs", "hour", "ring")

    def __init__(self, hour: int) -> None:
        self.epochs: dict[str, Epoch] = {}
        self.ring: Ring | None = None
        #: Broker time of the client's last record, in hours since the epoch.
        self.hour = hour
        # Not sets of its own: nearly all clients have changed nothing, and an empty set takes 216 bytes.
        self.changed_epochs: frozenset[str] = frozenset()
        self.changed_slots: frozenset[int] = frozenset()


class Dedupe:
    """Judges events of any client against that client's window. `hash_key`: 16 to 64 bytes, the same everywhere."""

    def __init__(self, hash_key: bytes) -> None:
        self._hash_key = hash_key
        #: Sequence numbers counted as seen without having been seen. For a metric.
        self.given_up = 0
        #: What is to be written of torn epochs, beyond one record of a common size each; whoever writes sets it to 0.
        self.torn = 0

    def is_first(self, client: Client, event: Event, at: tuple[int, int]) -> bool:
        """Return whether the event was not seen before, and remember it. `at`: (raw offset, line)."""
        seq, name = event.seq, event.seq_epoch
        if seq is None or not name or not 0 <= seq <= MAX_SEQ:
            return self._is_first_id(client, event)
        epoch = client.epochs.get(name) or self._new_epoch(client, name, at)
        intervals = epoch.intervals
        if intervals and seq == intervals[-1] + 1:  # in order: nearly always
            intervals[-1] = seq
        elif not self._add_out_of_order(epoch, seq):
            return False
        epoch.touched = at
        if name not in client.changed_epochs:
            client.changed_epochs |= {name}
            self.torn += len(intervals) // FEW_BOUNDS
        return True

    def _new_epoch(self, client: Client, name: str, at: tuple[int, int]) -> Epoch:
        if len(client.epochs) >= MAX_EPOCHS:
            oldest = min(client.epochs, key=lambda known: client.epochs[known].touched)
            del client.epochs[oldest]
            client.changed_epochs |= {oldest}
        epoch = client.epochs[name] = Epoch([], at)
        return epoch

    def _add_out_of_order(self, epoch: Epoch, seq: int) -> bool:
        if not epoch.add(seq):
            return False
        if len(epoch.intervals) > 2 * MAX_INTERVALS:
            self.given_up += epoch.close_lowest_gap()
        self.torn += len(epoch.intervals) // FEW_BOUNDS
        return True

    def _is_first_id(self, client: Client, event: Event) -> bool:
        if event.event_id is None:
            return True
        if client.ring is None:
            client.ring = Ring()
        digest = hashlib.blake2b(event.event_id.encode(), digest_size=HASH_BYTES, key=self._hash_key).digest()
        if not client.ring.add(digest):
            return False
        if client.ring.newest_slot not in client.changed_slots:
            client.changed_slots |= {client.ring.newest_slot}
        return True
