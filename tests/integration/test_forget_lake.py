"""Forgetting in a lake alone: raw objects and files, in a folder, without a broker."""

from __future__ import annotations

import gzip
import uuid

import orjson
import pytest

from deploy.viewers import Audience
from sinks.anonymise import Anonymiser
from sinks.folder import FolderStore
from sinks.forget_raw import Bound, OpenChunkError, forget_in_raw
from sinks.forget_rows import forget_in_files
from sinks.keys import ChunkKey, topic8
from sinks.provenance import ChunkProvenance, FileProvenance
from sinks.rebuild import Rebuild
from sinks.store import PreconditionFailed
from streams.contract.rows import CLIENT
from streams.contract.topics import EVENTS
from tests.integration.rebuilding import folder_lake, quiet, stack, wish
from tests.lakes import DAYS, NOW, TOPIC_ID, LiveLake, files, put_over, write

KEY = bytes(range(32))


def post(live, seed, at):
    """Post events of five viewers, some twice; return the viewers' ids."""
    audience, ids = Audience(seed, 5, NOW, strays=False), []
    for client in range(5):
        for request in range(3):
            events = audience.take(client, 20, NOW)
            live.post(events, at + 1_000 * request)
            live.post(events[:5], at + 1_000 * request + 400)
        ids.append(events[0]["client_session_id"])
    return ids


def bound_of(place):
    return Bound(topic8=topic8(TOPIC_ID), partition=place[0], offset=place[1])


async def drift(folder, dt):
    """Return how many rows of a day are not as its raw objects say."""
    work = Rebuild(stack(folder_lake(folder), client_table=True), wish(folder.parent, dt))
    return (await work.prepare(quiet)).differing


async def whole(store):
    """Return all that the lake holds, decompressed."""
    found = await files(store, "")
    return b"".join(gzip.decompress(body) if key.endswith(".gz") else body for key, body in found.items())


@pytest.fixture
async def lake(tmp_path):
    live = LiveLake(client_table=True, max_bytes=3_000)
    ids = post(live, 3, NOW)
    store = FolderStore(tmp_path / "lake")
    return live, ids, store, tmp_path / "lake"


async def test_nothing_in_the_lake_names_the_client_and_every_sum_stays(lake):
    live, ids, store, folder = lake
    place = live.forget(ids[2], NOW + 9_000)
    post(live, 4, NOW + 10_000)
    await live.write(store)
    assert ids[2].encode() in await whole(store)
    before = {key: body for key, body in (await files(store)).items() if CLIENT.name not in key}

    outcome = await forget_in_raw(store, Anonymiser(ids[2], KEY), bound_of(place), quiet)

    assert ids[2].encode() not in await whole(store)
    assert [await drift(folder, dt) for dt in DAYS] == [0, 0]
    assert before == {key: body for key, body in (await files(store)).items() if CLIENT.name not in key}
    assert (outcome.lines, outcome.replaced > 1) == (75, True)


async def test_repeats_are_still_told_across_objects_and_counted_anew_after(lake):
    live, ids, store, folder = lake
    place = live.forget(ids[0], NOW + 9_000)
    # It comes back and sends the very same events: they are another client's now.
    post(live, 3, NOW + 10_000)
    await live.write(store)

    await forget_in_raw(store, Anonymiser(ids[0], KEY), bound_of(place), quiet)

    assert [await drift(folder, dt) for dt in DAYS] == [0, 0]
    assert ids[0].encode() in await whole(store)


async def test_forgotten_twice_is_two_strangers(lake):
    live, ids, store, folder = lake
    for key, at in ((KEY, NOW + 9_000), (KEY[::-1], NOW + 29_000)):
        place = live.forget(ids[0], at)
        await live.write(store)
        await forget_in_raw(store, Anonymiser(ids[0], key), bound_of(place), quiet)
        post(live, 3, at + 10_000)
    await live.write(store)

    assert [await drift(folder, dt) for dt in DAYS] == [0, 0]


async def test_names_and_offsets_of_objects_stay(lake):
    live, ids, store, _ = lake
    place = live.forget(ids[1], NOW + 9_000)
    await live.write(store)
    before = {key: (await store.head(key)).metadata for key in await store.keys("raw/")}

    await forget_in_raw(store, Anonymiser(ids[1], KEY), bound_of(place), quiet)

    assert before == {key: (await store.head(key)).metadata for key in await store.keys("raw/")}


async def test_a_chunk_from_after_the_control_record_is_left_alone(lake):
    live, ids, store, _ = lake
    place = live.forget(ids[0], NOW + 9_000)
    # Nothing comes between two control records: the next chunk's name begins before the second one.
    place = live.forget(ids[0], NOW + 9_001)
    post(live, 3, NOW + 10_000)
    await live.write(store)
    later = {key: body for key, body in (await files(store, "raw/")).items() if f"-{place[0]}-" in key}

    await forget_in_raw(store, Anonymiser(ids[0], KEY), bound_of(place), quiet)

    now = await files(store, "raw/")
    assert any(ids[0].encode() in gzip.decompress(now[key]) for key in later)


async def test_an_archive_that_is_behind_is_not_touched(lake):
    live, ids, store, _ = lake
    await live.write(store)
    place = live.forget(ids[0], NOW + 9_000)

    with pytest.raises(OpenChunkError, match="still open"):
        await forget_in_raw(store, Anonymiser(ids[0], KEY), bound_of(place), quiet)


async def test_a_chunk_that_a_topic_of_before_left_open_is_made_anonymous_too(lake):
    live, ids, store, _ = lake
    place = live.forget(ids[0], NOW)
    await live.write(store)
    before = uuid.UUID(int=5)
    line = orjson.dumps({"event_type": "x", "event_ts": 1, "tab_id": "t", "received_at": NOW, "client_id": ids[0]})
    said = ChunkProvenance(topic=EVENTS, topic_id=str(before), partition=place[0], first=7, last=7, state="open")
    key = ChunkKey(DAYS[0], EVENTS, topic8(before), place[0], 7).encode()
    await put_over(store, key, gzip.compress(line + b"\n"), said.encode())

    await forget_in_raw(store, Anonymiser(ids[0], KEY), bound_of(place), quiet)

    assert ids[0].encode() not in await whole(store)
    assert (await store.head(key)).metadata == said.encode()


async def test_objects_of_the_reference_are_made_anonymous_too(lake):
    live, ids, store, folder = lake
    place = live.forget(ids[0], NOW)
    await live.write(store)
    theirs = [
        orjson.dumps({"event_type": "x", "event_ts": 1, "tab_id": "t", "client_session_id": client, "url": "https://a"})
        for client in (ids[0], "another")
    ]
    write(folder, {"raw/2026/01/05/delivery-1": b"".join(theirs)})
    write(folder, {"raw-processed/2026/01/04/delivery-2.gz": gzip.compress(b"\n".join(theirs))})

    await forget_in_raw(store, Anonymiser(ids[0], KEY), bound_of(place), quiet)

    plain = (folder / "raw/2026/01/05/delivery-1").read_bytes()
    packed = gzip.decompress((folder / "raw-processed/2026/01/04/delivery-2.gz").read_bytes())
    assert plain == packed
    assert (theirs[1] in plain, len(plain.splitlines())) == (True, 2)
    assert ids[0].encode() not in await whole(store)


async def test_an_object_that_changes_meanwhile_is_looked_at_again(lake):
    live, ids, store, _ = lake
    place = live.forget(ids[0], NOW + 9_000)
    await live.write(store)

    class Meddled(FolderStore):
        refused = 0

        async def put(self, key, body, metadata, *, etag):
            if not self.refused:
                self.refused += 1
                raise PreconditionFailed(key)
            return await super().put(key, body, metadata, etag=etag)

    meddled = Meddled(store._root)
    await forget_in_raw(meddled, Anonymiser(ids[0], KEY), bound_of(place), quiet)

    assert meddled.refused == 1
    raw = b"".join(gzip.decompress(body) for body in (await files(store, "raw/")).values())
    assert ids[0].encode() not in raw


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_rows_go_from_files_that_nobody_writes_again(tmp_path, form):
    live = LiveLake(client_table=True, form=form)
    ids = post(live, 3, NOW)
    store = FolderStore(tmp_path / "lake")
    await live.write(store)
    key = f"analytics/client_daily/dt={DAYS[0]}/data.{form}"
    old = FileProvenance.decode(key, (await store.head(key)).metadata)

    replaced = await forget_in_files(store, ids[3], [DAYS[1]], quiet)

    new = FileProvenance.decode(key, (await store.head(key)).metadata)
    assert [key] == replaced
    assert (old.totals.rows - 1, old.offset, old.topic_id) == (new.totals.rows, new.offset, new.topic_id)
    assert await forget_in_files(store, ids[3], [DAYS[1]], quiet) == []
    await put_over(store, "analytics/client_daily/dt=2026-01-05/notes.txt", b"not a file of ours")
    assert await forget_in_files(store, ids[3], [DAYS[1]], quiet) == []
