"""What goes wrong in a fault run: a seeded series of kills, failpoints, stops, cuts and refusals."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from tests.faults.progress import Progress
from tests.faults.proxy import S3_FAULTS
from tests.faults.world import SESSION_MS, Part, World

STREAM_PLACES = (
    "after-fence",
    "before-partials",
    "after-partials",
    "before-state",
    "after-state",
    "before-commit",
    "after-commit",
    "before-video_daily",
    "after-ingest_daily",
    "in-restore",
    "in-sums-restore",
    "in-assignment",
    "in-revocation",
)
_SELDOM = ("after-fence", "in-restore", "in-sums-restore", "in-assignment", "in-revocation")
SINK_PLACES = ("before-put", "after-put", "before-raw-put", "after-raw-put")
#: How long a stopped process sleeps: beyond its session, and beyond its transaction.
STOP_S = SESSION_MS / 1_000 + 3
#: A worker that comes and goes stays this long.
STAY_S = 10.0
RECOVERED_WITHIN_S = 60.0


class Deck:
    """Deals each of its cards once, in an order by chance, before any comes again."""

    def __init__(self, cards: Iterable[str], pick: random.Random) -> None:
        self._cards = sorted(cards)
        self._left = pick.sample(self._cards, len(self._cards))
        self._pick = pick

    def __len__(self) -> int:
        return len(self._cards)

    def deal(self) -> str:
        return self._left.pop() if self._left else self._pick.choice(self._cards)


class Chaos:
    """Runs faults one after the other until enough processes were killed."""

    def __init__(self, world: World, progress: Progress, pick: random.Random) -> None:
        self.done: Counter[str] = Counter()
        #: Seconds from each kill of a stream worker, with nothing else wrong, until its partitions went on.
        self.recovery_s: list[float] = []
        self._world = world
        self._progress = progress
        self._pick = pick
        self._guests = 0
        self._pairs, self._s3_faults = Deck(world.proxies, pick), Deck(S3_FAULTS, pick)
        self._stream_places, self._sink_places = Deck(STREAM_PLACES, pick), Deck(SINK_PLACES, pick)
        self._faults: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (30, self.kill_worker),
            (15, self.kill_sinks),
            (8, self.kill_gateway),
            (25, self.worker_failpoint),
            (12, self.sinks_failpoint),
            (4, self.stop_and_continue),
            (4, self.stop_in_transaction),
            (3, self.guest_worker),
            (2, self.kill_broker),
            (2, self.kill_s3),
            (6, self.spoil_a_connection),
            (5, self.spoil_s3),
        ]

    @property
    def kills(self) -> int:
        """How many processes were killed: by signal, or by themselves at a failpoint."""
        ended = sum(1 for *_, code in self._world.ends if code in {-signal.SIGKILL, 137})
        return ended + self.done["kill_broker"] + self.done["kill_s3"]

    async def run(self, kills: int) -> None:
        """Every kind of fault once, for each pair, refusal and place; then by weight until enough are killed."""
        first = [fault for _, fault in self._faults]
        first += [self.spoil_a_connection] * (len(self._pairs) - 1) + [self.spoil_s3] * (len(self._s3_faults) - 1)
        first += [self.worker_failpoint] * (len(self._stream_places) - 1)
        first += [self.sinks_failpoint] * (len(self._sink_places) - 1)
        self._pick.shuffle(first)
        while first or self.kills < kills:
            weights = [weight for weight, _ in self._faults]
            fault = first.pop() if first else self._pick.choices([fault for _, fault in self._faults], weights)[0]
            await fault()
            self.done[fault.__name__] += 1
            await asyncio.sleep(self._pick.uniform(0.1, 2.0))
        for proxy in self._world.proxies.values():
            proxy.heal()

    def _one(self, stage: str) -> Part:
        return self._pick.choice([part for part in self._world.parts.values() if part.stage == stage])

    async def _recovered(self, death: float) -> float:
        """Wait until what was there at a death is folded; return how long that took."""
        deadline = time.monotonic() + RECOVERED_WITHIN_S
        while (seconds := self._progress.recovered_after(death)) is None:
            assert time.monotonic() < deadline, self._held_up(death)
            await asyncio.sleep(0.1)
        return seconds

    def _held_up(self, death: float) -> str:
        last = self._progress.samples[-1]
        return (
            f"not folded {RECOVERED_WITHIN_S} s after a death; newest sample {last}, {last.at - death:.1f} s after it, "
            f"faults {dict(self.done)}\n{self._world.logs()}"
        )

    async def kill_worker(self) -> None:
        part = self._one("streams")
        if self._pick.random() < 0.5:
            # Everything may hold work in flight, a restore included.
            part.kill()
            return
        await self.kill_worker_and_measure()

    async def kill_worker_and_measure(self) -> None:
        """Kill a worker when all is well, and wait until what was there is folded."""
        part = self._one("streams")
        await self._recovered(time.monotonic())
        ends = len(self._world.ends)
        death = time.monotonic()
        part.kill()
        seconds = await self._recovered(death)
        if len(self._world.ends) == ends + 1:  # nobody else died meanwhile
            self.recovery_s.append(seconds)

    async def kill_sinks(self) -> None:
        self._one("sinks").kill()

    async def kill_gateway(self) -> None:
        self._one("gateway").kill()

    async def worker_failpoint(self) -> None:
        """Kill a worker; the next one ends itself at a place by chance."""
        part = self._one("streams")
        place = self._stream_places.deal()
        # A worker comes by these a few times in its life, and by the others with every batch.
        most = 3 if place in _SELDOM else 12
        part.failpoint = f"{place}:{self._pick.randint(1, most)}"
        part.kill()

    async def sinks_failpoint(self) -> None:
        part = self._one("sinks")
        part.failpoint = f"{self._sink_places.deal()}:{self._pick.randint(1, 8)}"
        part.kill()

    async def stop_and_continue(self) -> None:
        """A process sleeps for longer than its session, and wakes up as one that others have replaced."""
        part = self._one(self._pick.choice(("streams", "sinks")))
        part.signal(signal.SIGSTOP)
        await asyncio.sleep(STOP_S)
        part.signal(signal.SIGCONT)

    async def stop_in_transaction(self) -> None:
        part = self._one("streams")
        part.failpoint = f"{self._pick.choice(('after-state', 'before-commit'))}:{self._pick.randint(2, 9)}=stop"
        part.kill()
        await asyncio.sleep(STOP_S + 4)
        part.signal(signal.SIGCONT)

    async def guest_worker(self) -> None:
        """A worker without a name joins for a while, and leaves cleanly."""
        self._guests += 1
        name = f"guest-{self._guests}"
        part = self._world.add(name, "streams", STREAMS_INSTANCE="")
        await asyncio.sleep(STAY_S)
        del self._world.parts[name]
        await part.stop()

    async def kill_broker(self) -> None:
        broker = self._world.broker
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(self._pick.uniform(0, 3))
        await broker.start()

    async def kill_s3(self) -> None:
        s3 = self._world.s3
        await asyncio.to_thread(s3.kill)
        await asyncio.sleep(self._pick.uniform(0, 5))
        await s3.start()

    async def spoil_a_connection(self) -> None:
        """Delay, cut, half-close or swallow what goes between one pair."""
        name = self._pairs.deal()
        proxy = self._world.proxies[name]
        # A produce request whose records were written and whose answer never comes is in every run.
        kinds = ("delay", "cut", "half-close", "swallow", "refuse")
        how = "swallow" if name == "gateway-kafka" and not self.done[f"swallow {name}"] else self._pick.choice(kinds)
        self.done[f"{how} {name}"] += 1
        if how == "cut":
            proxy.cut()
        elif how == "half-close":
            proxy.half_close(self._pick)
        elif how == "delay":
            proxy.delay_s = 0.2
        elif how == "swallow":
            proxy.swallow_answers = True
        else:
            proxy.refuse = True
            proxy.cut()
        await asyncio.sleep(self._pick.uniform(2, 6))
        proxy.heal()

    async def spoil_s3(self) -> None:
        proxy = self._world.s3_proxy
        proxy.fault = self._s3_faults.deal()
        proxy.share = self._pick.choice((0.5, 1.0))
        self.done[f"s3 {proxy.fault}"] += 1
        await asyncio.sleep(self._pick.uniform(3, 8))
        proxy.heal()
