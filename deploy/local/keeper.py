"""Keeps one child program running: starts it when what it needs is ready, and again when it ends."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from deploy.local.process import Child, Program
from streams.ending import end

POLL_S: Final = 0.05
#: A child that was ready for this long starts its next series of attempts without delay.
STEADY_S: Final = 10.0
LONGEST_BACKOFF_S: Final = 10.0
START_TIMEOUT_S: Final = 120.0

log = structlog.get_logger()


class State(enum.StrEnum):
    """Where a child stands."""

    STOPPED = "stopped"
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"


async def _nothing() -> None:
    """Stand in for a step that a child does not need."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A child: its program, and how to tell that it is ready."""

    stage: str
    program: Program
    #: Asked every 2 * POLL_S until it says yes.
    ready: Callable[[], Awaitable[bool]]
    #: Names of children that must be ready before a start.
    needs: Sequence[str] = ()
    #: Whether that holds for each start, or for the first one only.
    needs_always: bool = True
    #: Runs before each start.
    prepare: Callable[[], Awaitable[None]] = _nothing
    #: Runs once the program is ready for the first time, before others may build on it.
    settle: Callable[[], Awaitable[None]] = _nothing
    #: How long a living one may take to become ready before the start of the stack counts as failed.
    start_timeout_s: float = START_TIMEOUT_S
    #: From the wish to stop until SIGKILL.
    grace_s: float = 6.0

    @property
    def name(self) -> str:
        """Name of the child: the stage and, for stages of several, a number."""
        return self.program.name


def backoff_s(failures: int) -> float:
    """Return the pause before the next start after `failures` ends in a row."""
    return min(0.2 * 2.0 ** max(failures - 1, 0), LONGEST_BACKOFF_S)


class Keeper:
    """Keeps one child running. An instance is started only after the one before it is reaped."""

    def __init__(self, spec: Spec, others: dict[str, Keeper], changed: Callable[[Keeper], None]) -> None:
        self.spec = spec
        self.state = State.STOPPED
        self.child: Child | None = None
        self.restarts = 0
        #: Ends in a row without a steady time in between.
        self.failures = 0
        self.ready = asyncio.Event()
        self._others = others
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._settled = False

    @property
    def broken(self) -> BaseException | None:
        """The error that ended the keeping, if one did."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def describe(self) -> dict[str, Any]:
        """Return the child's standing for people and programs."""
        pid = self.child.pid if self.child else None
        return {"name": self.spec.name, "state": str(self.state), "pid": pid, "restarts": self.restarts}

    def start(self) -> None:
        """Begin to keep the child running."""
        if self._task is None:
            self.failures = 0
            self._to(State.WAITING)
            self._task = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")

    async def stop(self) -> None:
        """Stop the child and keep it stopped."""
        task, self._task = self._task, None
        if task is not None:
            # An error of the keeping was reported by whoever watches `broken`; here the child must go.
            await end(task)
        await self._end()
        self.ready.clear()
        self._to(State.STOPPED)

    def kill(self) -> None:
        """End the child at once, for a user who does not want to wait; `stop` still has to be awaited."""
        if self.child is not None and self.child.exit_code() is None:
            self.child.kill()

    async def _keep(self) -> None:
        while True:
            if self.spec.needs_always or not self._settled:
                for name in self.spec.needs:
                    await self._others[name].ready.wait()
            await self.spec.prepare()
            self.child = Child(self.spec.program)
            log.info("child started", child=self.spec.name, pid=self.child.pid)
            self._to(State.STARTING)
            started = time.monotonic()
            code = await self._watch(self.child)
            self.child = None
            self.ready.clear()
            if self.state is State.READY and time.monotonic() - started > STEADY_S:
                self.failures = 0
            self.failures += 1
            self.restarts += 1
            pause = backoff_s(self.failures)
            log.warning("child ended", child=self.spec.name, exit_code=code, failures=self.failures, again_in_s=pause)
            self._to(State.WAITING)
            await asyncio.sleep(pause)

    async def _watch(self, child: Child) -> int:
        """Wait for the child's end, saying on the way when it is ready; return its exit code."""
        while (code := child.exit_code()) is None:
            if self.state is State.STARTING and await self.spec.ready():
                if not self._settled:
                    await self.spec.settle()
                    self._settled = True
                log.info("child ready", child=self.spec.name, pid=child.pid)
                self.ready.set()
                self._to(State.READY)
            await asyncio.sleep(2 * POLL_S)
        return code

    async def _end(self) -> None:
        child, self.child = self.child, None
        if child is None or child.exit_code() is not None:
            return
        child.terminate()
        if not await _ended(child, self.spec.grace_s):
            log.warning("child did not stop in time and was killed", child=self.spec.name, grace_s=self.spec.grace_s)
            child.kill()
            await _ended(child, self.spec.grace_s)
        log.info("child stopped", child=self.spec.name, exit_code=child.exit_code())

    def _to(self, state: State) -> None:
        self.state = state
        self._changed(self)


async def _ended(child: Child, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            while child.exit_code() is None:  # noqa: ASYNC110 - processes have no asyncio.Event
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return False
    return True
