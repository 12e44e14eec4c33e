"""Stores that fail as real ones do: before or after the write happened, and those where somebody else was quicker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from sinks.store import Stat, Store, StoredObject, StoreUnavailable


class UnreliableStore:
    """Wraps a store; `before_put` and `after_put` may raise, or do something to the store meanwhile."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.before_put: Callable[[str], Awaitable[None]] = _nothing
        self.after_put: Callable[[str], Awaitable[None]] = _nothing
        self.before_read: Callable[[str], Awaitable[None]] = _nothing
        #: Keys of puts that succeeded.
        self.puts: list[str] = []

    async def get(self, key: str) -> StoredObject | None:
        await self.before_read(key)
        return await self.inner.get(key)

    async def head(self, key: str) -> Stat | None:
        await self.before_read(key)
        return await self.inner.head(key)

    async def keys(self, prefix: str) -> list[str]:
        await self.before_read(prefix)
        return await self.inner.keys(prefix)

    async def folders(self, prefix: str) -> list[str]:
        await self.before_read(prefix)
        return await self.inner.folders(prefix)

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        await self.before_put(key)
        new_etag = await self.inner.put(key, body, metadata, etag=etag)
        self.puts.append(key)
        await self.after_put(key)
        return new_etag


async def _nothing(_: str) -> None:
    """Let it pass."""


class FailTimes:
    """Fails the first calls: 503, or a time-out."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def __call__(self, key: str) -> None:
        if self.left:
            self.left -= 1
            raise StoreUnavailable(f"503 SlowDown for {key}")
