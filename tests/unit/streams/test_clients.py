"""The windows of all clients of a partition: when they leave, and which pieces are written."""

from __future__ import annotations

import zlib

from streams.clients import CLIENT_HOURS, REFRESH_HOURS, Clients
from streams.contract.days import HOUR_MS
from streams.contract.event import Event
from streams.state_records import ClientPiece, client_key, decode, epoch_key, slot_key

KEY = bytes(32)
START = 500_000  # hours
FIRST = Event(event_id="1")


def see(clients: Clients, client_id: str, hour: int, event: Event = FIRST, offset: int = 0) -> bool:
    return clients.is_first(client_id, event, (offset, 0), hour * HOUR_MS)


def test_a_client_leaves_35_days_after_its_last_record():
    clients = Clients(KEY)
    assert see(clients, "a", START)
    assert not see(clients, "a", START + 35 * 24)  # a repeat is a record too
    assert not see(clients, "a", START + 2 * 35 * 24)
    assert see(clients, "a", START + 3 * 35 * 24 + 1)
    assert CLIENT_HOURS == 35 * 24


def test_departed_clients_take_their_pieces_with_them():
    clients = Clients(KEY)
    see(clients, "a", START)
    see(clients, "a", START, Event(seq=1, seq_epoch="e"))
    see(clients, "b", START + 1)
    clients.take_changed()

    clients.drop_departed(START + CLIENT_HOURS)
    assert len(clients) == 2
    clients.drop_departed(START + CLIENT_HOURS + 1)
    assert len(clients) == 1
    assert set(clients.take_changed()) == {
        (client_key("a"), None),
        (epoch_key("a", "e"), None),
        (slot_key("a", 0), None),
    }


def test_only_changed_pieces_are_written():
    clients = Clients(KEY)
    for n in range(130):
        see(clients, "a", START, Event(event_id=str(n)))
    see(clients, "a", START, Event(seq=1, seq_epoch="e"))
    assert {key for key, _ in clients.take_changed()} == {epoch_key("a", "e"), *(slot_key("a", n) for n in range(3))}
    assert clients.changed_count == 0

    see(clients, "a", START, Event(event_id="5"))  # a repeat in the same hour
    assert clients.take_changed() == []
    see(clients, "a", START, Event(event_id="new"))
    assert [key for key, _ in clients.take_changed()] == [slot_key("a", 2)]


def test_a_repeat_in_a_later_hour_writes_that_hour():
    clients = Clients(KEY)
    see(clients, "a", START)
    clients.take_changed()
    see(clients, "a", START + 1)

    [(key, value)] = clients.take_changed()
    assert key == client_key("a")
    assert decode(ClientPiece, value).hour == START + 1


def test_a_dropped_epoch_is_taken_away():
    clients = Clients(KEY)
    for n in range(65):
        see(clients, "a", START, Event(seq=1, seq_epoch=f"e{n}"), offset=n)

    assert dict(clients.take_changed())[epoch_key("a", "e0")] is None


def test_a_client_that_is_dropped_and_comes_back_in_one_batch_is_written_behind_its_removal():
    clients = Clients(KEY)
    see(clients, "a", START)
    clients.drop("a")
    clients.drop("a")
    assert see(clients, "a", START)

    pieces = clients.take_changed()
    assert [value is None for key, value in pieces if key == slot_key("a", 0)] == [True, False]


def test_every_piece_is_written_again_within_ten_days():
    clients = Clients(KEY)
    names = [f"client-{n}" for n in range(50)]
    for name in names:
        see(clients, name, START)
        see(clients, name, START, Event(seq=1, seq_epoch="e"))
    clients.take_changed()

    written = []
    for hour in range(REFRESH_HOURS):
        clients.refresh(START + hour)
        due = {name for name in names if zlib.crc32(name.encode()) % REFRESH_HOURS == (START + hour) % REFRESH_HOURS}
        pieces = clients.take_changed()
        assert {key for key, _ in pieces} == {key for name in due for key in (epoch_key(name, "e"), slot_key(name, 0))}
        written += pieces
    assert len(written) == 2 * len(names)
    assert REFRESH_HOURS == 240


def test_clients_that_left_while_no_worker_ran_are_taken_away_at_the_restore():
    clients = Clients(KEY)
    see(clients, "a", START)
    see(clients, "b", START + 1)
    stored = [(key, value) for key, value in clients.take_changed() if value is not None]

    restored = Clients(KEY)
    restored.restore(stored)
    restored.drop_departed(START + CLIENT_HOURS + 1)
    assert len(restored) == 1
    assert (slot_key("a", 0), None) in restored.take_changed()
    assert see(restored, "a", START + CLIENT_HOURS + 1)
    assert not see(restored, "b", START + CLIENT_HOURS + 1)
