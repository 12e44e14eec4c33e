"""State and partials as earlier releases stored them are read right; what a newer one stored is refused.

tests/fixtures/release-1/topics.ndjson was written by the first release: raw records and, of both partitions, each key
of `watch.state` and `watch.partials` (base64). It is never made again: a change of the stored form has to read it.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections import defaultdict
from pathlib import Path

import pytest

from streams.contract.keys import PartialKey, decode_daily_key
from streams.contract.rows import TABLE_BY_KIND
from streams.fold_settings import FoldSettings
from streams.partition_state import PartitionState
from streams.state_records import (
    MARKER_KEY,
    VERSION,
    ClientPiece,
    EpochPiece,
    Folded,
    Marker,
    NewerStateError,
    Refold,
    Share,
    SlotPiece,
    decode,
    encode,
)
from streams.totals import Totals
from tests.unit.streams.plain_fold import RawRecord, plain_rows
from tests.unit.streams.raw_logs import CLIENTS, line

FIRST_RELEASE = Path(__file__).parents[2] / "fixtures" / "release-1" / "topics.ndjson"
#: Those that it was written under.
SETTINGS = FoldSettings(
    partitions=2,
    shards=2,
    day_rule="event",
    client_table=True,
    topic_id=uuid.UUID("01ec8821-0000-4f72-aab2-0bec25d3b004"),
)


class Stored:
    """The topics of a release."""

    def __init__(self, path: Path) -> None:
        self.raw: list[RawRecord] = []
        self.state: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        self.partials: dict[bytes, bytes] = {}
        for text in path.read_text().splitlines():
            record = json.loads(text)
            value = base64.b64decode(record["value"])
            if record["topic"] == "watch.events":
                self.raw.append(RawRecord(record["partition"], record["offset"], record["timestamp"], value))
                continue
            key = base64.b64decode(record["key"])
            if record["topic"] == "watch.state":
                self.state[record["partition"]][key] = value
            else:
                self.partials[key] = value


def rows_of(partials: dict[bytes, bytes]) -> dict[tuple[str, str, object], dict[str, object]]:
    """Return what the sums publish of shares, as the plain fold gives it."""
    totals = Totals()
    for key, value in partials.items():
        totals.put_share(PartialKey.decode(key), decode(Share, value))
    rows = {}
    for row in totals.take_differences():
        dt, row_id = decode_daily_key(row.key)
        assert row.value is not None
        own_id: object = int(row_id) if row.table.name == "hour_daily" else row_id
        rows[row.table.name, dt, own_id] = json.loads(row.value)
    return rows


def test_the_shares_of_the_first_release_sum_up_to_its_rows():
    stored = Stored(FIRST_RELEASE)

    assert rows_of(stored.partials) == plain_rows(stored.raw, client_table=True)


def test_the_state_of_the_first_release_is_folded_on_without_a_seam():
    stored = Stored(FIRST_RELEASE)
    newest_ms = max(record.broker_ms for record in stored.raw)
    more, partials = [], dict(stored.partials)
    for p in range(2):
        state = PartitionState.restored(p, SETTINGS, stored.state[p])
        own = [record for record in stored.raw if record.p == p]
        # What came last comes once more, and then something new: repeats are known by their stored identities.
        values = [record.value for record in own[-5:]]
        client = CLIENTS[p]
        values += [line(seed, client, newest_ms) + b"\n" for seed in range(20)]
        for number, value in enumerate(values):
            record = RawRecord(p, own[-1].offset + 1 + number, newest_ms + 1_000, value)
            state.fold(record.offset, record.broker_ms, record.value)
            more.append(record)
        for pairs in state.take_changes().partials.values():
            partials.update((key, value) for key, value in pairs if value is not None)

    assert rows_of(partials) == plain_rows([*stored.raw, *more], client_table=True)


def test_the_fixture_holds_each_kind_of_stored_value():
    stored = Stored(FIRST_RELEASE)
    keys = [key for p in range(2) for key in stored.state[p]]

    assert MARKER_KEY in keys
    assert {kind for kind in (b'["epoch"', b'["slot"', b'["client"') if any(key.startswith(kind) for key in keys)} == {
        b'["epoch"',
        b'["slot"',
        b'["client"',
    }
    assert {PartialKey.decode(key).kind for key in stored.partials} == set(TABLE_BY_KIND)


@pytest.mark.parametrize("shape", [Share, Marker, Refold, Folded, EpochPiece, SlotPiece, ClientPiece])
def test_what_a_newer_release_stored_is_refused(shape: type[Share]):
    newer = encode(shape(v=VERSION + 1))

    with pytest.raises(NewerStateError, match=rf"{shape.__name__} of version {VERSION + 1}.*watchtime refold"):
        decode(shape, newer)
