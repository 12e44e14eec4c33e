"""The state of one raw partition, and the fold that moves it forward.

Folding is deterministic: the state after a record depends on the records up to it and the settings, never on how
they were cut into batches, on a clock or on a restart. `take_changes` gives what a transaction has to write;
`PartitionState.restored` builds the same state from what was written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from streams.aggregates import Aggregate, Aggregates
from streams.clients import Clients
from streams.contract.days import (
    FOLD_DAYS,
    HOUR_MS,
    delivery_ms,
    dt_of_ms,
    shift_dt,
    slot_of,
)
from streams.contract.event import FORGOTTEN_PREFIX, Event, decode_events
from streams.contributions import DUPLICATE, INVALID, MOVED, TOTAL, VALID, contribution_of
from streams.fold_settings import FoldSettings, Generation
from streams.rejects import Rejects
from streams.state_records import (
    FOLDED_KEY_PREFIX,
    MARKER_KEY,
    VERSION,
    Folded,
    Marker,
    decode,
    encode,
    is_piece_key,
)

_HOUR_IDS: Final = tuple(str(hour) for hour in range(24))


@dataclass(frozen=True)
class Changes:
    """What one transaction writes: (key, value) pairs; None as value takes a key away."""

    #: Records of the state partition, the marker last.
    state: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    #: Records of `watch.partials`, by its partition.
    partials: dict[int, list[tuple[bytes, bytes | None]]] = field(default_factory=dict)
    #: Values for `watch.rejected`.
    rejected: list[bytes] = field(default_factory=list)


class PartitionState:
    """Everything that raw partition `p` has to remember."""

    def __init__(self, p: int, settings: FoldSettings, generation: Generation | None = None) -> None:
        self.p = p
        #: Last raw offset folded, and the newest broker time seen, ms.
        self.offset = -1
        self.log_ms = 0
        #: Offset of the newest marker taken by `take_changes`.
        self._stored_offset = -1
        self._settings = settings
        self._day_rule = settings.day_rule
        self._generation = generation or Generation()
        self._first_dt = self._generation.first_dt
        self._aggregates = Aggregates(p)
        self.rejects = Rejects(p)
        #: Shares whose keys the next transaction takes away.
        self._withdrawn: list[Aggregate] = []
        self.clients = Clients(hashlib.blake2b(settings.topic_id.bytes, digest_size=32).digest())

    def fold(self, offset: int, broker_ms: int, value: bytes) -> int:
        """Fold one raw record, appended by the broker at `broker_ms`; return its number of lines."""
        self._advance(offset, broker_ms)
        at = (offset, broker_ms)
        events = decode_events(value)
        for line, event in enumerate(events):
            if event is None:
                self.rejects.add(value, line, offset, broker_ms)
                self._count_invalid(dt_of_ms(broker_ms), at)
            else:
                self._fold_event(event, line, at)
        return len(events)

    def _advance(self, offset: int, broker_ms: int) -> None:
        self.offset = offset
        if broker_ms > self.log_ms:  # noqa: PLR1730 (for each record: a third of the time of max())
            self.log_ms = broker_ms

    def _count_invalid(self, dt: str, at: tuple[int, int]) -> None:
        if dt >= self._first_dt:
            self._aggregates.add(dt, "ingest", "", TOTAL, 1, at)
            self._aggregates.add(dt, "ingest", "", INVALID, 1, at)

    def _fold_event(self, event: Event, line: int, at: tuple[int, int]) -> None:
        offset, broker_ms = at
        delivered_ms = delivery_ms(event.received_at, broker_ms)
        dt, hour, moved = slot_of(self._day_rule, event.event_ts, delivered_ms, event.tz_offset_min)
        client_id = event.client_id or event.client_session_id
        first = not client_id or self.clients.is_first(client_id, event, (offset, line), broker_ms)
        if dt < self._first_dt:
            return
        if not first:
            self._aggregates.add(dt, "ingest", "", DUPLICATE, 1, at)
            return
        counters = self._aggregates.add(dt, "ingest", "", TOTAL, 1, at).counters
        counters[VALID] += 1
        if moved:
            counters[MOVED] += 1
        video_id, channel, column, amount, ignored = contribution_of(event)
        if ignored is not None:
            counters[ignored] += 1
        add = self._aggregates.add
        if video_id is not None:
            video = add(dt, "video", video_id, column, amount, at)
            if channel is not None:
                video.name_channel(channel, delivered_ms)
            add(dt, "hour", _HOUR_IDS[hour], column, amount, at)
            if self._settings.client_table and client_id and not client_id.startswith(FORGOTTEN_PREFIX):
                add(dt, "client", client_id, column, amount, at)
        if channel is not None:
            add(dt, "channel", channel, column, amount, at)

    def forget(self, offset: int, broker_ms: int, client_id: str) -> None:
        """Fold a control record: drop the window of a client and the rows that are about it alone."""
        self._advance(offset, broker_ms)
        self.clients.drop(client_id)
        self._withdrawn += self._aggregates.drop_row("client", client_id)

    @property
    def pending(self) -> int:
        """About how many records `take_changes` would give for the state."""
        return self._aggregates.changed_count + self.clients.changed_count + len(self._withdrawn)

    def take_changes(self) -> Changes:
        """Return what changed since the last call, with the marker."""
        changes, shards = Changes(rejected=self.rejects.take()), self._settings.shards
        withdrawn, self._withdrawn = self._withdrawn, []
        for aggregate in withdrawn:
            changes.state.append((aggregate.key, None))
            changes.partials.setdefault(aggregate.shard(shards), []).append((aggregate.key, None))
        for aggregate in self._aggregates.take_changed():
            value = aggregate.encode(self._generation.number)
            changes.state.append((aggregate.key, value))
            changes.partials.setdefault(aggregate.shard(shards), []).append((aggregate.key, value))
        changes.state.extend(self.clients.take_changed())
        changes.state.append((MARKER_KEY, encode(self._settings.marker(self.offset, self.log_ms, self._generation))))
        if self._stored_offset + 1 < self._generation.end <= self.offset + 1:
            folded = (FOLDED_KEY_PREFIX + str(self.p).encode(), encode(Folded(VERSION, self._generation.number)))
            for shard in range(self._settings.shards):
                changes.partials.setdefault(shard, []).append(folded)
        self._stored_offset = self.offset
        return changes

    def drop_old(self) -> None:
        """Drop closed days and departed clients; the topics forget the days by their retention."""
        self._aggregates.drop_days_before(shift_dt(dt_of_ms(self.log_ms), -FOLD_DAYS))
        self.clients.drop_departed(self.log_ms // HOUR_MS)

    @classmethod
    def restored(cls, p: int, settings: FoldSettings, stored: Mapping[bytes, bytes]) -> Self:
        """Return the state that a partition of `watch.state` holds: the last value of each key."""
        marker = decode(Marker, stored[MARKER_KEY])
        settings.check(p, marker)
        state = cls(p, settings, Generation.of(marker))
        state._advance(marker.offset, marker.log_ms)
        state._stored_offset = marker.offset
        pieces = []
        for key, value in stored.items():
            if is_piece_key(key):
                pieces.append((key, value))
            elif key != MARKER_KEY:
                state._aggregates.keep(key, value)
        state.clients.restore(pieces)
        # Not left out but dropped: pieces left behind would mix with those of a client that comes back.
        state.drop_old()
        return state
