"""How often to come back to a store that does not answer: stages for ever, commands for a while; intervals grow."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar, TypeVarTuple

import structlog

from sinks import metrics
from sinks.store import Stat, Store, StoredObject, StoreUnavailable

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
#: Somebody waits for a command.
COMMANDS_WAIT_S: Final = 15.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
log = structlog.get_logger(__name__)


def wait_s(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row (1 or more)."""
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 1, 30), LONGEST_WAIT_S)


class Patience:
    """The failures in a row of one caller."""

    def __init__(self) -> None:
        self._failures = 0

    async def bear(self, error: StoreUnavailable) -> None:
        """Note a failure and wait before the next try."""
        self._failures += 1
        metrics.STORE_ERRORS.inc()
        wait = wait_s(self._failures)
        log.warning("the lake does not answer; trying again", why=str(error), failures=self._failures, wait_s=wait)
        await asyncio.sleep(wait)


async def patiently(call: Callable[[*Ts], Awaitable[T]], *args: *Ts, for_s: float = math.inf) -> T:
    """Return what a call that changes nothing returns, however often it has to be repeated in so many seconds."""
    patience, deadline = Patience(), time.monotonic() + for_s
    while True:
        try:
            return await call(*args)
        except StoreUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            await patience.bear(error)


class PatientReads:
    """A store for commands: one answer among thousands that does not come ends nothing; writes are left as they are."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, None when there is none."""
        return await patiently(self._store.get, key, for_s=COMMANDS_WAIT_S)

    async def head(self, key: str) -> Stat | None:
        """Return what is known of the object, None when there is none."""
        return await patiently(self._store.head, key, for_s=COMMANDS_WAIT_S)

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return await patiently(self._store.keys, prefix, for_s=COMMANDS_WAIT_S)

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, sorted."""
        return await patiently(self._store.folders, prefix, for_s=COMMANDS_WAIT_S)

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        """Write a whole object; whether one that was not answered has happened is for its caller to find out."""
        return await self._store.put(key, body, metadata, etag=etag)
