"""Keeps all children of a stack, in order, until it is told to stop.

It does not know what the children do: `children.py` says what to run, `serve.py` ties both to a data folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from deploy.errors import DeployError
from deploy.local.keeper import POLL_S, Keeper, Spec, State
from deploy.local.process import log_tail

#: How often those who wait are told of a child that takes long.
STILL_STARTING_S: Final = 30.0
#: A child that ends this often before it was ever ready is not going to be.
START_ATTEMPTS: Final = 3

log = structlog.get_logger()

#: Called with each change of a child: its description.
Listener = Callable[[dict[str, Any]], None]


class StartError(DeployError):
    """A child did not become ready; the text holds the end of its log."""


class UnknownChildError(DeployError):
    """No stage and no child has this name."""


class Supervisor:
    """The children of one stack. Order of the specs: order of start; stop goes the other way."""

    def __init__(self, specs: Sequence[Spec], saved: Callable[[dict[str, int]], None]) -> None:
        self.stopping = asyncio.Event()
        self.keepers: dict[str, Keeper] = {}
        self._saved = saved
        self._listeners: list[Listener] = []
        for spec in specs:
            self.keepers[spec.name] = Keeper(spec, self.keepers, self._changed)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every change until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def select(self, names: Iterable[str]) -> list[Keeper]:
        """Return the keepers of stages or children by name; all of them when no name is given."""
        names = list(names)
        for name in names:
            if not any(name in {keeper.spec.stage, keeper.spec.name} for keeper in self.keepers.values()):
                known = ", ".join(dict.fromkeys(keeper.spec.stage for keeper in self.keepers.values()))
                raise UnknownChildError(f"there is no {name!r} in this stack; it has {known}")
        keepers = list(self.keepers.values())
        return [keeper for keeper in keepers if not names or {keeper.spec.stage, keeper.spec.name} & set(names)]

    def with_needs(self, keepers: Sequence[Keeper]) -> list[Keeper]:
        """Return these and what they cannot start without, in the order of start."""
        names = {keeper.spec.name for keeper in keepers}
        # Whatever a child needs stands before it, so one pass from the end finds all.
        for keeper in reversed(self.keepers.values()):
            if keeper.spec.name in names:
                names.update(keeper.spec.needs)
        return [keeper for name, keeper in self.keepers.items() if name in names]

    async def start(self, keepers: Sequence[Keeper]) -> None:
        """Start these children and return when all are ready; StartError when one will not be."""
        for keeper in keepers:
            keeper.start()
        began = time.monotonic()
        next_word_s = STILL_STARTING_S
        while not self.stopping.is_set() and (late := [keeper for keeper in keepers if not keeper.ready.is_set()]):
            self._raise_failures(keepers)
            waited_s = time.monotonic() - began
            starting = [keeper for keeper in late if keeper.state is State.STARTING]
            if any(waited_s > keeper.spec.start_timeout_s for keeper in late):
                tails = "\n".join(_tail(keeper) for keeper in starting)
                names = ", ".join(keeper.spec.name for keeper in late)
                raise StartError(f"not ready after {waited_s:.0f} s: {names}\n{tails}")
            if waited_s > next_word_s:
                next_word_s += STILL_STARTING_S
                for keeper in starting:
                    self._tell(keeper.describe() | {"starting_s": round(waited_s)})
            await asyncio.sleep(POLL_S)

    async def stop(self, keepers: Sequence[Keeper]) -> None:
        """Stop these children: what builds on others first, the rest of it together."""
        waves: list[list[Keeper]] = []
        for keeper in reversed(keepers):
            if waves and not any(keeper.spec.name in later.spec.needs for later in waves[-1]):
                waves[-1].append(keeper)
            else:
                waves.append([keeper])
        for wave in waves:
            await asyncio.gather(*(keeper.stop() for keeper in wave))

    async def run(self, names: Iterable[str], on_ready: Callable[[], None]) -> None:
        """Start the named children, or all; keep them until `stopping` is set; stop everything."""
        everything = list(self.keepers.values())
        try:
            await self.start(self.with_needs(self.select(names)))
            if not self.stopping.is_set():
                log.info("stack ready")
                on_ready()
            while not self.stopping.is_set():
                for keeper in everything:
                    if keeper.broken is not None:
                        raise keeper.broken
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), timeout=1.0)
        finally:
            await self.stop(everything)
            log.info("stack stopped")

    def request_stop(self) -> None:
        """Stop soon; asked a second time, end the children at once."""
        if self.stopping.is_set():
            for keeper in self.keepers.values():
                keeper.kill()
        self.stopping.set()

    def _raise_failures(self, keepers: Sequence[Keeper]) -> None:
        for keeper in keepers:
            if keeper.broken is not None:
                raise keeper.broken
            if keeper.failures >= START_ATTEMPTS and not keeper.ready.is_set():
                name, times = keeper.spec.name, keeper.failures
                raise StartError(f"{name} ended {times} times while starting.\n{_tail(keeper)}")

    def _changed(self, keeper: Keeper) -> None:
        self._saved({name: one.child.pid for name, one in self.keepers.items() if one.child is not None})
        self._tell(keeper.describe())

    def _tell(self, told: dict[str, Any]) -> None:
        for listener in list(self._listeners):
            listener(told)


def _tail(keeper: Keeper) -> str:
    file = keeper.spec.program.log
    return f"The end of {file}:\n{log_tail(file)}"
