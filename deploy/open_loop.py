"""Posts on a fixed schedule, whether or not the answers keep up, and keeps book of what was acknowledged.

Open loop: a POST is due at its place in the schedule, and its latency counts from there, so a slow server cannot
slow the question down. A client has one POST in flight, as a browser has; what is due meanwhile waits in its queue.
What is not acknowledged is sent again, byte for byte (the extension sends the same events, newer ones with them).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson

from deploy.viewers import Audience

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_TRY_TIMEOUT_S: Final = 15.0
#: Answers that ask a client to come again.
_COME_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to post; rates are events, not POSTs, a second."""

    url: str
    clients: int
    rate: float
    seconds: float
    #: A POST holds 1 to `batch` events.
    batch: int
    #: Stop after so many events even if time is left.
    events: int | None = None
    #: Share of acknowledged POSTs that are sent once more.
    repeat: float = 0.0
    seed: int
    #: How long one POST is repeated before it is given up, seconds.
    deadline_s: float = 60.0
    #: Whether some events carry times that are not believed.
    strays: bool = True


@dataclass(kw_only=True)
class Tally:
    """What happened so far; times are milliseconds unless named `_s`."""

    posts: int = 0
    events: int = 0
    repeated_posts: int = 0
    repeated_events: int = 0
    #: Tries that were refused or broke off, and those of them whose records may be in the topic all the same.
    failed_tries: int = 0
    unclear_tries: int = 0
    #: POSTs that were never acknowledged, or answered with something a client cannot mend.
    given_up: int = 0
    refused: int = 0
    rejected_events: int = 0
    refusals: list[str] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    #: How far the generator itself fell behind its schedule at most.
    behind_ms: float = 0.0
    elapsed_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Post:
    number: int
    client: int
    due: float
    events: int
    body: bytes
    repeat_of: int | None = None
    unclear_tries: int = 0


class OpenLoop:
    """One run of a plan; `tally` may be read while it runs."""

    def __init__(self, plan: Plan, write: Callable[[bytes], object]) -> None:
        """Prepare a run; `write` takes a line (with its end) for each acknowledged POST."""
        self.plan: Final = plan
        self.tally: Final = Tally()
        self._write: Final = write
        self._rng: Final = random.Random(f"load {plan.seed}")  # noqa: S311 - simulation, no secrets
        self._audience: Final = Audience(plan.seed, plan.clients, _now_ms(), strays=plan.strays)
        self._queues: Final[dict[int, deque[_Post]]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._numbers: Final = itertools.count(1)
        self._stopped = False

    def stop(self) -> None:
        """Post nothing new; `run` ends when what was posted is answered. May be called from anywhere."""
        self._stopped = True

    async def run(self) -> Tally:
        """Post the whole plan and wait for every answer."""
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=min(self.plan.clients, 256))
        timeout = aiohttp.ClientTimeout(total=_TRY_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            start = loop.time()
            await self._keep_schedule(session, start)
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            self.tally.elapsed_s = loop.time() - start
        return self.tally

    async def _keep_schedule(self, session: aiohttp.ClientSession, start: float) -> None:
        plan, rng = self.plan, self._rng
        loop = asyncio.get_running_loop()
        scheduled = 0
        while not self._stopped and (plan.events is None or scheduled < plan.events):
            due = start + scheduled / plan.rate
            if due - start >= plan.seconds:
                return
            now = loop.time()
            if due > now:
                await asyncio.sleep(due - now)
            else:
                self.tally.behind_ms = max(self.tally.behind_ms, (now - due) * 1_000)
                # Also a generator that is behind lets answers be read.
                await asyncio.sleep(0)
            size = rng.randint(1, plan.batch)
            if plan.events is not None:
                size = min(size, plan.events - scheduled)
            scheduled += size
            self._enqueue(session, self._compose(rng.randrange(plan.clients), size, due))

    def _compose(self, client: int, size: int, due: float) -> _Post:
        events = self._audience.take(client, size, _now_ms())
        # A lone event may come without its list.
        body = orjson.dumps(events[0] if size == 1 and self._rng.random() < 0.5 else {"events": events})  # noqa: PLR2004
        return _Post(number=next(self._numbers), client=client, due=due, events=size, body=body)

    def _enqueue(self, session: aiohttp.ClientSession, post: _Post) -> None:
        queue = self._queues.get(post.client)
        if queue is not None:
            queue.append(post)
            return
        self._queues[post.client] = deque([post])
        task = asyncio.create_task(self._drain(session, post.client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, session: aiohttp.ClientSession, client: int) -> None:
        """Send what a client has queued, one after the other, until nothing is left."""
        queue = self._queues[client]
        while queue:
            post = queue.popleft()
            acknowledged = await self._deliver(session, post)
            if acknowledged and post.repeat_of is None and self._rng.random() < self.plan.repeat:
                due = asyncio.get_running_loop().time()
                queue.append(
                    _Post(
                        number=next(self._numbers),
                        client=client,
                        due=due,
                        events=post.events,
                        body=post.body,
                        repeat_of=post.number,
                    ),
                )
        del self._queues[client]

    async def _deliver(self, session: aiohttp.ClientSession, post: _Post) -> bool:
        """Send one POST until it is acknowledged; False when it was refused or given up."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self.plan.deadline_s
        first_sent_ms = _now_ms()
        pause_s = _FIRST_PAUSE_S
        while True:
            answer = await self._try(session, post)
            if answer is not None:
                return self._book(post, answer, first_sent_ms)
            self.tally.failed_tries += 1
            if loop.time() > give_up_at:
                self.tally.given_up += 1
                return False
            await asyncio.sleep(pause_s * (0.5 + self._rng.random()))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _try(self, session: aiohttp.ClientSession, post: _Post) -> tuple[int, bytes] | None:
        """Return (status, body) of a final answer; None when the client should come again."""
        headers = {"Content-Type": "application/json"}
        try:
            async with session.post(self.plan.url, data=post.body, headers=headers) as response:
                text = await response.read()
                if response.status not in _COME_AGAIN:
                    return response.status, text
        except aiohttp.ClientConnectorError:
            return None  # nobody listened: nothing was sent
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # cut off: the record may be in the topic, which the count below keeps
        post.unclear_tries += 1
        self.tally.unclear_tries += 1
        return None

    def _book(self, post: _Post, answer: tuple[int, bytes], first_sent_ms: int) -> bool:
        status, text = answer
        tally = self.tally
        if status != 200:  # noqa: PLR2004 - HTTP
            tally.refused += 1
            if len(tally.refusals) < 10:  # noqa: PLR2004 - enough to see what is wrong
                tally.refusals.append(f"{status} {text[:200]!r}")
            return False
        verdict = orjson.loads(text)
        accepted, rejected = int(verdict["accepted"]), int(verdict["rejected"])
        if rejected and len(tally.refusals) < 10:  # noqa: PLR2004
            tally.refusals.append(f"rejected {verdict['errors']!r}")
        tally.rejected_events += rejected
        if post.repeat_of is None:
            tally.posts += 1
            tally.events += accepted
        else:
            tally.repeated_posts += 1
            tally.repeated_events += accepted
        tally.latencies_ms.append((asyncio.get_running_loop().time() - post.due) * 1_000)
        facts = {
            "post": post.number,
            "repeat_of": post.repeat_of,
            "sent_ms": first_sent_ms,
            "acked_ms": _now_ms(),
            "unclear_tries": post.unclear_tries,
            "accepted": accepted,
            "rejected": rejected,
        }
        self._write(orjson.dumps(facts)[:-1] + b',"body":' + post.body + b"}\n")
        return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
