"""What guards the lake: layout, provenance, and how patiently a silent store is asked again."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from sinks import patience
from sinks.keys import LAYOUT_KEY
from sinks.layout import LayoutError, recorded_day_rule, settle_layout
from sinks.patience import LONGEST_WAIT_S, PatientReads, patiently, wait_s
from sinks.provenance import ChunkProvenance, FileProvenance, ForeignObjectError, Totals
from sinks.store import MemoryStore, StoreRefused, StoreUnavailable
from tests.bad_stores import FailTimes, UnreliableStore

FILE = FileProvenance(
    topic="watch.video_daily",
    topic_id="01ec8821-a93a-4f72-aab2-0bec25d3b004",
    offset=2**40,
    generation=3,
    content_hash="ab" * 32,
    totals=Totals(rows=5, sums={"watch_ms": 2**62, "views": 0}),
    newest=Totals(rows=2, sums={"watch_ms": 1, "views": 0}),
)
TOPICS = {"watch.hour_daily": "id-1", "watch.video_daily": "id-2"}
CHUNK = ChunkProvenance(topic="watch.events", topic_id="x", partition=3, first=0, last=7, state="closed")


def test_provenance_is_read_back_from_metadata():
    assert FileProvenance.decode("k", FILE.encode()) == FILE
    assert ChunkProvenance.decode("k", CHUNK.encode()) == CHUNK


def test_metadata_fit_into_the_headers_of_every_store():
    """S3 takes 2 KiB of ASCII; all tables' sums at their largest stay below half of it."""
    sums = {f"{name}_long_counter_name": 2**63 - 1 for name in "abcdefg"}
    large = FileProvenance(
        **{**FILE.__dict__, "totals": Totals(rows=10**9, sums=sums), "newest": Totals(rows=1, sums=sums)}
    )
    for metadata in (large.encode(), CHUNK.encode()):
        assert all(text.isascii() for pair in metadata.items() for text in pair)
        assert sum(len(name) + len(value) for name, value in metadata.items()) < 1_024


@pytest.mark.parametrize(
    "missing", ["topic", "topic-id", "offset", "generation", "sha256", "rows", "sums", "newest-sums"]
)
def test_a_file_without_our_metadata_is_foreign(missing):
    metadata = FILE.encode()
    del metadata[missing]

    with pytest.raises(ForeignObjectError, match="analytics/x has no metadata of a daily file"):
        FileProvenance.decode("analytics/x", metadata)


def test_metadata_that_make_no_sense_are_foreign():
    with pytest.raises(ForeignObjectError, match="raw archive"):
        ChunkProvenance.decode("k", CHUNK.encode() | {"last-offset": "seven"})


@pytest.mark.parametrize(
    ("new", "below"),
    [
        (Totals(rows=2, sums={"a": 1, "b": 1}), False),
        (Totals(rows=3, sums={"a": 2, "b": 1}), False),
        (Totals(rows=1, sums={"a": 9, "b": 9}), True),
        (Totals(rows=9, sums={"a": 0, "b": 9}), True),
        (Totals(rows=9, sums={"b": 9}), True),
    ],
)
def test_less_of_anything_is_below(new, below):
    assert new.is_below(Totals(rows=2, sums={"a": 1, "b": 1})) is below


async def test_the_first_worker_writes_the_layout_and_the_others_agree():
    store = MemoryStore()
    await asyncio.gather(*(settle_layout(store, "jsonl", 4, TOPICS) for _ in range(3)))

    found = await store.get(LAYOUT_KEY)
    assert orjson.loads(found.body) == {"version": 1, "format": "jsonl", "shards": 4, "topics": TOPICS}


async def test_a_table_that_is_switched_on_later_is_added_to_the_layout():
    store = MemoryStore()
    await settle_layout(store, "parquet", 1, TOPICS)
    await settle_layout(store, "parquet", 1, {**TOPICS, "watch.client_daily": "id-9"})
    await settle_layout(store, "parquet", 1, TOPICS)

    found = await store.get(LAYOUT_KEY)
    assert orjson.loads(found.body)["topics"] == {"watch.client_daily": "id-9", **TOPICS}


async def test_topics_that_were_made_anew_are_refused():
    store = MemoryStore()
    await settle_layout(store, "parquet", 1, TOPICS)

    with pytest.raises(LayoutError, match=r"watch.hour_daily with id id-1, but .* id-3: it was made anew"):
        await settle_layout(store, "parquet", 1, {**TOPICS, "watch.hour_daily": "id-3"})


async def test_the_day_rule_is_added_to_a_layout_of_an_earlier_release_and_stays():
    store = MemoryStore()
    await settle_layout(store, "parquet", 1, TOPICS)
    assert await recorded_day_rule(store) is None

    await settle_layout(store, "parquet", 1, TOPICS, "local")
    # A worker that was not told, as rebuild in another shell, leaves it as it is.
    await settle_layout(store, "parquet", 1, TOPICS)

    assert await recorded_day_rule(store) == "local"
    found = await store.get(LAYOUT_KEY)
    assert orjson.loads(found.body) == {
        "version": 1,
        "format": "parquet",
        "shards": 1,
        "topics": TOPICS,
        "day_rule": "local",
    }


async def test_another_day_rule_is_refused_with_the_way_out():
    store = MemoryStore()
    await settle_layout(store, "parquet", 1, TOPICS, "event")

    with pytest.raises(LayoutError, match=r"STREAMS_DAY=event.*counts by received.*watchtime rebuild --from"):
        await settle_layout(store, "parquet", 1, TOPICS, "received")


async def test_a_day_rule_of_a_later_release_is_not_guessed_at():
    store = MemoryStore()
    await store.put(LAYOUT_KEY, b'{"version":1,"day_rule":"lunar"}', {}, etag=None)

    with pytest.raises(LayoutError, match="'lunar'"):
        await recorded_day_rule(store)


async def test_a_lake_that_is_away_is_said_at_once_to_whom_asks_for_its_day_rule():
    store = UnreliableStore(MemoryStore())
    store.before_read = FailTimes(1)

    with pytest.raises(StoreUnavailable):
        await recorded_day_rule(store)


async def test_a_new_lake_says_nothing_of_its_days():
    assert await recorded_day_rule(MemoryStore()) is None


async def test_a_layout_whose_write_was_not_answered_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr("sinks.patience.FIRST_WAIT_S", 0.001)
    store = UnreliableStore(MemoryStore())
    store.after_put = FailTimes(1)

    await settle_layout(store, "parquet", 1, TOPICS)

    assert store.puts == [LAYOUT_KEY]


@pytest.mark.parametrize(
    ("form", "shards", "said"),
    [("jsonl", 1, "files are parquet, SINKS_FORMAT asks for jsonl"), ("parquet", 2, "1 files a table.*2 partitions")],
)
async def test_another_layout_is_refused_with_the_way_out(form, shards, said):
    store = MemoryStore()
    await settle_layout(store, "parquet", 1, TOPICS)

    with pytest.raises(LayoutError, match=said + ".*watchtime rebuild"):
        await settle_layout(store, form, shards, TOPICS)


async def test_a_layout_of_a_later_version_is_not_guessed_at():
    store = MemoryStore()
    await store.put(LAYOUT_KEY, b'{"version":2}', {}, etag=None)

    with pytest.raises(LayoutError, match="version 2"):
        await settle_layout(store, "parquet", 1, TOPICS)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.2), (2, 0.4), (5, 3.2), (6, LONGEST_WAIT_S), (10**9, LONGEST_WAIT_S)]
)
def test_waits_grow_up_to_a_bound(failures, seconds):
    assert wait_s(failures) == pytest.approx(seconds)


async def test_a_command_bears_answers_that_do_not_come():
    store = UnreliableStore(MemoryStore())
    await store.put("key", b"", {"n": "1"}, etag=None)
    store.before_read = FailTimes(2)

    stat = await PatientReads(store).head("key")

    assert stat is not None
    assert stat.metadata == {"n": "1"}


async def test_a_command_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(patience, "COMMANDS_WAIT_S", 0.1)
    store = UnreliableStore(MemoryStore())
    store.before_read = FailTimes(10**9)

    with pytest.raises(StoreUnavailable, match="503"):
        await PatientReads(store).head("key")


async def test_a_store_that_refuses_is_not_asked_again():
    asked = 0

    async def refuse():
        nonlocal asked
        asked += 1
        raise StoreRefused("403")

    with pytest.raises(StoreRefused):
        await patiently(refuse)
    assert asked == 1
