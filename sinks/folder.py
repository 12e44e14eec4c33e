"""The store in a folder: objects are plain files, so that any program can read the lake.

Metadata of `key` live in `.sinks/metadata/key.json`, by the hash of the content they belong to. A put writes
that file with the entries of the old and of the new content first and then renames the new content in: at
every moment the content that is there has its metadata, whatever dies in between. The ETag is the content's
SHA-256. One lock (flock) makes compare-and-put one step for all processes of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sinks.store import PreconditionFailed, Stat, StoredObject, StoreUnavailable, content_hash

#: Own files of the store; readers of lakes skip names that begin with a dot.
PRIVATE: Final = ".sinks"
POOL_SIZE: Final = 4

T = TypeVar("T")


class FolderStore:
    """Objects below one folder, which is made when missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._private = root / PRIVATE
        self._pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="folder")

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, None when there is none."""
        return await self._run(f"reading {key}", lambda: self._read(key))

    async def head(self, key: str) -> Stat | None:
        """Return what is known of the object, None when there is none."""
        found = await self.get(key)
        return found.stat if found else None

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return await self._run(f"listing {prefix}", lambda: sorted(self._keys(prefix)))

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, sorted."""

        def call() -> list[str]:
            folder = self._path(prefix)
            if not folder.is_dir():
                return []
            return sorted(f"{prefix}{entry.name}/" for entry in folder.iterdir() if entry.is_dir())

        found = await self._run(f"listing {prefix}", call)
        return [folder for folder in found if folder != f"{PRIVATE}/"]

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        """Write a whole object; PreconditionFailed unless `etag` is there (None: nothing)."""
        return await self._run(f"writing {key}", lambda: self._write(key, body, metadata, etag))

    async def _run(self, what: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except OSError as error:
            # A full disk or a lost mount may come back; the caller tries again and says so meanwhile.
            raise StoreUnavailable(f"{what} in {self._root}: {error}") from error

    def _read(self, key: str) -> StoredObject | None:
        found = self._read_once(key)
        if found is None or found.stat.metadata or not self._private.is_dir():
            return found
        # The content was replaced between the two reads, or it never had metadata: the lock tells which.
        with self._locked():
            return self._read_once(key)

    def _read_once(self, key: str) -> StoredObject | None:
        try:
            body = self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None
        etag = content_hash(body)
        metadata = self._metadata(key).get(etag, {})
        return StoredObject(body=body, stat=Stat(etag=etag, metadata=metadata))

    def _write(self, key: str, body: bytes, metadata: Mapping[str, str], etag: str | None) -> str:
        with self._locked():
            found = self._read_once(key)
            if (found.stat.etag if found else None) != etag:
                raise PreconditionFailed(f"{key} in {self._root} is not at ETag {etag}")
            new_etag = content_hash(body)
            entries = {found.stat.etag: dict(found.stat.metadata)} if found else {}
            entries[new_etag] = dict(metadata)
            self._replace(self._metadata_path(key), json.dumps(entries).encode())
            if found is None or found.stat.etag != new_etag:
                self._replace(self._path(key), body)
            return new_etag

    def _metadata(self, key: str) -> dict[str, dict[str, str]]:
        try:
            entries: dict[str, dict[str, str]] = json.loads(self._metadata_path(key).read_bytes())
        except FileNotFoundError:
            return {}
        return entries

    def _replace(self, path: Path, content: bytes) -> None:
        """Put content under a name in one step, on the disk before it returns."""
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._private / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=scratch)
        try:
            with os.fdopen(handle, "wb") as file:
                # mkstemp makes files for the owner alone, but a lake is read by others.
                os.fchmod(file.fileno(), 0o644)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._private.mkdir(parents=True, exist_ok=True)
        with (self._private / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _keys(self, prefix: str) -> Iterator[str]:
        # Only the folder that the prefix names needs to be walked, not the whole lake.
        start = self._path(prefix[: prefix.rfind("/") + 1])
        for folder, folders, names in os.walk(start):
            if PRIVATE in folders:
                folders.remove(PRIVATE)
            for name in names:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                if key.startswith(prefix):
                    yield key

    def _path(self, key: str) -> Path:
        path = self._root / key
        if ".." in Path(key).parts or not path.is_relative_to(self._root):
            raise ValueError(f"key {key!r} leads out of the lake {self._root}")
        return path

    def _metadata_path(self, key: str) -> Path:
        return self._private / "metadata" / f"{key}.json"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
