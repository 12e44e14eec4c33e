"""The windows of repeats of all clients of one raw partition, and their stored pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from streams.contract.days import HOUR_MS
from streams.contract.event import Event
from streams.dedupe import Client, Dedupe, Epoch, Ring
from streams.state_records import (
    VERSION,
    ClientPiece,
    EpochPiece,
    SlotPiece,
    client_key,
    decode,
    decode_piece_key,
    encode,
    epoch_key,
    slot_key,
)

#: A client leaves this long after its last record, or in the hour that follows: hours are kept of it, and a repeat
#: within 35 days is never another event.
CLIENT_HOURS: Final = 35 * 24
#: A running worker writes each piece again within this time, and a restoring one those that are older, so that the
#: topic's retention takes none that is in use.
REFRESH_HOURS: Final = 10 * 24

Piece = tuple[bytes, bytes | None]


class Clients:
    """Clients by id. A piece is a key and a value of `watch.state`; a value of None takes the piece away."""

    def __init__(self, hash_key: bytes) -> None:
        self.dedupe = Dedupe(hash_key)
        self._clients: dict[str, Client] = {}
        self._changed: dict[str, Client] = {}
        self._gone: list[Piece] = []

    def __len__(self) -> int:
        """Return the number of clients."""
        return len(self._clients)

    def is_first(self, client_id: str, event: Event, place: tuple[int, int], broker_ms: int) -> bool:
        """Return whether the client did not send the event before. `place`: (raw offset, line)."""
        hour = broker_ms // HOUR_MS
        client = self._clients.get(client_id)
        if client is None or hour != client.hour:
            client = self._seen(client_id, client, hour)
        if not self.dedupe.is_first(client, event, place):
            return False
        self._changed[client_id] = client
        return True

    def _seen(self, client_id: str, client: Client | None, hour: int) -> Client:
        """Take note of a record of a client that is new, or whose last record is of another hour."""
        if client is None or hour - client.hour > CLIENT_HOURS:
            self.drop(client_id)
            client = self._clients[client_id] = Client(hour)
            self._changed[client_id] = client
        elif hour > client.hour:
            client.hour = hour
            self._changed[client_id] = client
        return client

    def drop(self, client_id: str) -> None:
        """Drop a client and take its pieces away."""
        client = self._clients.pop(client_id, None)
        if client is None:
            return
        self._changed.pop(client_id, None)
        slots = range(client.ring.slots_used) if client.ring else ()
        self._gone.append((client_key(client_id), None))
        self._gone += [(epoch_key(client_id, name), None) for name in client.epochs.keys() | client.changed_epochs]
        self._gone += [(slot_key(client_id, number), None) for number in slots]

    def drop_departed(self, log_hour: int) -> None:
        """Drop the clients whose last record is too long ago."""
        for client_id in [c for c, client in self._clients.items() if log_hour - client.hour > CLIENT_HOURS]:
            self.drop(client_id)

    def refresh(self, hour: int) -> None:
        """Have the pieces of those clients whose turn this hour is written again."""
        turn = hour % REFRESH_HOURS
        for client_id, client in self._clients.items():
            if zlib.crc32(client_id.encode()) % REFRESH_HOURS == turn:
                client.changed_epochs |= frozenset(client.epochs)
                if client.ring:
                    client.changed_slots |= frozenset(range(client.ring.slots_used))
                self._changed[client_id] = client

    def write_again(self, keys: Iterable[bytes]) -> None:
        """Have pieces written again that have lain in the topic for long."""
        for key in keys:
            piece, client_id, name = decode_piece_key(key)
            client = self._clients.get(client_id)
            if client is None:
                continue
            if piece == "epoch" and name in client.epochs:
                client.changed_epochs |= {str(name)}
            elif piece == "slot":
                client.changed_slots |= {int(str(name))}
            self._changed[client_id] = client

    @property
    def changed_count(self) -> int:
        """About how many records of a common size `take_changed` would give."""
        return len(self._changed) + len(self._gone) + self.dedupe.torn

    def take_changed(self) -> list[Piece]:
        """Return the pieces that changed since the last call."""
        pieces, self._gone, self.dedupe.torn = self._gone, [], 0
        for client_id, client in self._changed.items():
            pieces += _changed_pieces(client_id, client)
            client.changed_epochs, client.changed_slots = frozenset(), frozenset()
        self._changed.clear()
        return pieces

    def restore(self, stored: Iterable[tuple[bytes, bytes]]) -> None:
        """Take stored pieces: last value per key."""
        clients: dict[str, Client] = {}
        slots: dict[str, dict[int, tuple[int, bytes]]] = {}
        for key, value in stored:
            piece, client_id, name = decode_piece_key(key)
            client = clients.get(client_id)
            if client is None:
                client = clients[client_id] = Client(0)
            if piece == "epoch":
                epoch = decode(EpochPiece, value)
                client.epochs[str(name)] = Epoch(epoch.intervals, epoch.touched)
                hour = epoch.hour
            elif piece == "slot":
                slot = decode(SlotPiece, value)
                slots.setdefault(client_id, {})[int(str(name))] = (slot.count, slot.hashes)
                hour = slot.hour
            else:
                hour = decode(ClientPiece, value).hour
            if hour > client.hour:  # noqa: PLR1730 (for each piece: a third of the time of max())
                client.hour = hour
        for client_id, numbered in slots.items():
            clients[client_id].ring = Ring.of_slots(numbered)
        self._clients = clients


def _changed_pieces(client_id: str, client: Client) -> Iterator[Piece]:
    for name in client.changed_epochs:
        epoch = client.epochs.get(name)
        value = None
        if epoch is not None:
            value = encode(EpochPiece(VERSION, client.hour, epoch.touched, epoch.intervals))
        yield epoch_key(client_id, name), value
    ring = client.ring
    if ring is not None:
        for number in client.changed_slots:
            yield (
                slot_key(client_id, number),
                encode(SlotPiece(VERSION, client.hour, ring.slot_count(number), ring.slot(number))),
            )
    if not client.changed_epochs and not client.changed_slots:
        yield client_key(client_id), encode(ClientPiece(VERSION, client.hour))
