"""The lake's objects behind a seam of five methods: an S3 bucket, a folder, or memory (for tests).

Every write is conditional: it names the ETag it replaces, or that nothing may be there. Metadata are small
ASCII strings that change together with the content, never apart from it. Keys are relative to the lake.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import boto3


class StoreError(Exception):
    """The lake could not do what was asked."""


class PreconditionFailed(StoreError):  # noqa: N818 -- named after the HTTP status that it is
    """The object is not the one that the write was to replace; look at it again."""


class StoreUnavailable(StoreError):  # noqa: N818 -- it says what the store is, and the caller comes back
    """The store did not answer or asked to come back: whether a write happened is unknown. Try again."""


class StoreRefused(StoreError):  # noqa: N818 -- as above
    """The store answered that this will never work: missing bucket, wrong key, no permission."""


@dataclass(frozen=True, kw_only=True)
class Stat:
    """What is known of an object without its content."""

    etag: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object, content and all."""

    body: bytes
    stat: Stat


class Store(Protocol):
    """What sinks need of a lake. Methods raise StoreUnavailable or StoreRefused."""

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, None when there is none."""

    async def head(self, key: str) -> Stat | None:
        """Return what is known of the object, None when there is none."""

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix` (which ends with "/"), each ending with "/", sorted."""

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        """Write a whole object and return its ETag; PreconditionFailed unless `etag` is there (None: nothing)."""


class MemoryStore:
    """The in-memory twin: the same rules, nothing kept."""

    def __init__(self) -> None:
        self._objects: dict[str, StoredObject] = {}

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, None when there is none."""
        return self._objects.get(key)

    async def head(self, key: str) -> Stat | None:
        """Return what is known of the object, None when there is none."""
        found = self._objects.get(key)
        return found.stat if found else None

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._objects if key.startswith(prefix))

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, sorted."""
        below = (key.removeprefix(prefix) for key in self._objects if key.startswith(prefix))
        return sorted({prefix + rest.split("/", 1)[0] + "/" for rest in below if "/" in rest})

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        """Write a whole object; PreconditionFailed unless `etag` is there (None: nothing)."""
        found = self._objects.get(key)
        if (found.stat.etag if found else None) != etag:
            raise PreconditionFailed(f"{key} is not at ETag {etag}")
        stat = Stat(etag=content_hash(body), metadata=dict(metadata))
        self._objects[key] = StoredObject(body=body, stat=stat)
        return stat.etag


def content_hash(body: bytes) -> str:
    """Return the SHA-256 of content as hex digits."""
    return hashlib.sha256(body).hexdigest()


def open_store(lake: str, s3_endpoint: str = "", session: boto3.session.Session | None = None) -> Store:
    """Return the store of a lake URL, `s3://bucket[/prefix]` or `file:///folder`; ValueError when it cannot be opened.

    `session` holds a bucket's credentials; None: as boto3 finds them.
    """
    # The adapters import this module, and boto3 is only loaded where a bucket is used.
    parts = urllib.parse.urlsplit(lake)
    if parts.scheme == "s3" and parts.netloc:
        from sinks.bucket import BucketStore  # noqa: PLC0415

        return BucketStore(parts.netloc, parts.path.strip("/"), endpoint=s3_endpoint, session=session)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from sinks.folder import FolderStore  # noqa: PLC0415

        return FolderStore(Path(urllib.parse.unquote(parts.path)))
    raise ValueError(f"{lake!r} names no lake: give s3://bucket, s3://bucket/prefix or file:///folder")
