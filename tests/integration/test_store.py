"""One body of tests over the three stores: memory, a folder, and a bucket of a real S3 server."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from sinks.bucket import BucketStore
from sinks.folder import PRIVATE, FolderStore
from sinks.store import MemoryStore, PreconditionFailed, Store, StoreRefused, StoreUnavailable, open_store

KEY = "analytics/video_daily/dt=2026-11-24/data.parquet"


@pytest.fixture(params=["memory", "folder", "bucket", "bucket with prefix"])
def store(request, tmp_path, aws) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "folder":
        return FolderStore(tmp_path / "lake")
    s3 = request.getfixturevalue("s3")
    aws(s3.keys)
    prefix = "some/prefix" if "prefix" in request.param else ""
    return BucketStore(s3.bucket(), prefix, endpoint=s3.endpoint)


async def test_nothing_is_there_at_first(store):
    assert await store.get(KEY) is None
    assert await store.head(KEY) is None
    assert await store.keys("") == []
    assert await store.folders("raw/") == []


async def test_a_put_is_read_back_with_its_metadata(store):
    metadata = {"topic": "watch.video_daily", "topic-id": "a-b", "offset": "12", "sums": '{"watch_ms":3,"x":4}'}

    etag = await store.put(KEY, b"one", metadata, etag=None)
    found = await store.get(KEY)
    stat = await store.head(KEY)

    assert found is not None
    assert found.body == b"one"
    assert found.stat == stat
    assert stat is not None
    assert (stat.etag, stat.metadata) == (etag, metadata)


async def test_a_first_put_does_not_replace_what_is_there(store):
    await store.put(KEY, b"one", {"n": "1"}, etag=None)

    with pytest.raises(PreconditionFailed):
        await store.put(KEY, b"two", {"n": "2"}, etag=None)

    found = await store.get(KEY)
    assert (found.body, found.stat.metadata) == (b"one", {"n": "1"})


async def test_a_put_replaces_only_the_content_it_names(store):
    first = await store.put(KEY, b"one", {"n": "1"}, etag=None)
    second = await store.put(KEY, b"two", {"n": "2"}, etag=first)

    with pytest.raises(PreconditionFailed):
        await store.put(KEY, b"three", {"n": "3"}, etag=first)

    found = await store.get(KEY)
    assert second == found.stat.etag
    assert (found.body, found.stat.metadata) == (b"two", {"n": "2"})


async def test_a_put_over_an_object_that_is_gone_fails(store):
    etag = await store.put(KEY, b"one", {}, etag=None)

    with pytest.raises(PreconditionFailed):
        await store.put(KEY + ".other", b"two", {}, etag=etag)


async def test_the_same_content_may_get_other_metadata(store):
    first = await store.put(KEY, b"one", {"state": "open"}, etag=None)
    await store.put(KEY, b"one", {"state": "closed"}, etag=first)

    stat = await store.head(KEY)

    assert stat.metadata == {"state": "closed"}


async def test_keys_and_folders_are_listed_sorted(store):
    for key in ("raw/2026/11/24/b", "raw/2026/11/24/a", "raw/2026/11/23/c", "rawer", "results/x"):
        await store.put(key, b"", {"n": "1"}, etag=None)

    assert await store.keys("raw/") == ["raw/2026/11/23/c", "raw/2026/11/24/a", "raw/2026/11/24/b"]
    assert await store.keys("raw/2026/11/24/a") == ["raw/2026/11/24/a"]
    assert await store.folders("raw/2026/11/") == ["raw/2026/11/23/", "raw/2026/11/24/"]
    assert await store.folders("raw/2026/11/23/") == []
    assert await store.folders("") == ["raw/", "results/"]


async def test_one_of_many_writers_wins_each_round(store):
    etag = await store.put(KEY, b"start", {"n": "-"}, etag=None)
    for round_no in range(10):

        async def attempt(body: str, expected: str) -> str | None:
            try:
                return await store.put(KEY, body.encode(), {"n": body}, etag=expected)
            except PreconditionFailed:
                return None

        tries = await asyncio.gather(*(attempt(f"{round_no}-{n}", etag) for n in range(6)))
        winners = [(n, tag) for n, tag in enumerate(tries) if tag is not None]

        assert len(winners) == 1
        found = await store.get(KEY)
        assert found.stat.metadata == {"n": found.body.decode()} == {"n": f"{round_no}-{winners[0][0]}"}
        etag = found.stat.etag


async def test_content_and_metadata_belong_together_while_they_change(store):
    etag = await store.put(KEY, b"0", {"n": "0"}, etag=None)

    async def write() -> None:
        nonlocal etag
        for n in range(1, 40):
            etag = await store.put(KEY, str(n).encode() * 1000, {"n": str(n)}, etag=etag)

    writing = asyncio.ensure_future(write())
    reads = 0
    while not writing.done():
        found = await store.get(KEY)
        assert found.body[: len(found.stat.metadata["n"])].decode() == found.stat.metadata["n"]
        reads += 1
        await asyncio.sleep(0)
    await writing
    assert reads > 0


def test_a_lake_is_opened_by_its_url(tmp_path):
    assert isinstance(open_store(f"file://{tmp_path}/a%20b"), FolderStore)
    for wrong in ("", "lake", "s3://", "file://host/x", "http://x/y", "file:relative"):
        with pytest.raises(ValueError, match="names no lake"):
            open_store(wrong)


async def test_a_bucket_that_does_not_exist_is_refused_at_once(s3, aws):
    aws(s3.keys)
    store = BucketStore("no-such-bucket", endpoint=s3.endpoint)

    with pytest.raises(StoreRefused, match="no-such-bucket"):
        await store.get(KEY)
    with pytest.raises(StoreRefused, match="no-such-bucket"):
        await store.put(KEY, b"x", {}, etag=None)


async def test_wrong_credentials_are_refused_at_once(s3, aws, monkeypatch):
    aws(s3.keys)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = BucketStore(s3.bucket(), endpoint=s3.endpoint)

    with pytest.raises(StoreRefused, match="403"):
        await store.put(KEY, b"x", {}, etag=None)


async def test_a_server_that_is_gone_is_unavailable(fresh_s3, aws):
    server = await fresh_s3()
    aws(server.keys)
    server.make_bucket("lake")
    store = BucketStore("lake", endpoint=server.endpoint)
    await store.put(KEY, b"x", {}, etag=None)
    server.stop()

    with pytest.raises(StoreUnavailable, match="PUT"):
        await store.put(KEY, b"y", {}, etag=None)


async def test_a_folder_put_that_died_halfway_leaves_old_content_with_old_metadata(tmp_path, monkeypatch):
    """The crash is between the two renames, where content and metadata could part."""
    store = FolderStore(tmp_path)
    etag = await store.put(KEY, b"old", {"n": "1"}, etag=None)
    rename = Path.replace

    def die_at_content(self: Path, target: Path) -> Path:
        if PRIVATE not in Path(target).relative_to(tmp_path).parts[0]:
            raise OSError("power cut")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(Path, "replace", die_at_content)
    with pytest.raises(StoreUnavailable, match="power cut"):
        await store.put(KEY, b"new", {"n": "2"}, etag=etag)
    monkeypatch.undo()

    found = await store.get(KEY)
    assert (found.body, found.stat.metadata, found.stat.etag) == (b"old", {"n": "1"}, etag)
    await store.put(KEY, b"new", {"n": "2"}, etag=etag)
    found = await store.get(KEY)
    assert (found.body, found.stat.metadata) == (b"new", {"n": "2"})


async def test_a_folder_holds_plain_files_and_keeps_its_own_out_of_sight(tmp_path):
    store = FolderStore(tmp_path)
    await store.put(KEY, b"one", {"n": "1"}, etag=None)

    assert (tmp_path / KEY).read_bytes() == b"one"
    assert await store.keys("") == [KEY]
    assert await store.folders("") == ["analytics/"]
    assert {entry.name for entry in tmp_path.iterdir()} == {"analytics", PRIVATE}
    (entries,) = [json.loads(path.read_bytes()) for path in tmp_path.glob(f"{PRIVATE}/metadata/**/*.json")]
    assert list(entries.values()) == [{"n": "1"}]


async def test_a_key_cannot_leave_the_folder(tmp_path):
    with pytest.raises(ValueError, match="leads out"):
        await FolderStore(tmp_path / "lake").put("../x", b"", {}, etag=None)


async def test_a_folder_may_be_named_by_way_of_its_neighbour(tmp_path):
    store = FolderStore(tmp_path / "here" / ".." / "lake")
    await store.put(KEY, b"one", {}, etag=None)

    assert await store.keys("") == [KEY]
    assert (tmp_path / "lake" / KEY).read_bytes() == b"one"
