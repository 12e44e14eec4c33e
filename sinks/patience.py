"""How often to come back to a store that does not answer: without limit, at growing intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, TypeVarTuple

import structlog

from sinks import metrics
from sinks.store import StoreUnavailable

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0

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


async def patiently(call: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Return what a call that changes nothing returns, however often it has to be repeated."""
    patience = Patience()
    while True:
        try:
            return await call(*args)
        except StoreUnavailable as error:
            await patience.bear(error)
