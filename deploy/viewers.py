"""Simulated viewers: people with a browser, a queue and a clock, who post schema-1 events. Pure and seeded.

What they do on purpose: watch popular videos more, pause, hide the tab, see advertisements, cross midnight, deliver
late and out of order, leave the channel out, rename it. Each viewer's clock starts up to `BACKLOG_MS` ago and runs
ahead as fast as events are taken from it, up to `now_ms`, so that a short run covers two days.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from deploy.catalogue import Catalogue, Video

Event = dict[str, Any]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
#: How long ago a viewer's clock starts at most.
BACKLOG_MS: Final = 30 * HOUR_MS
#: Strays are not believed and count at their delivery; near a full hour a client cannot know which hour that is.
STRAY_MARGIN_MS: Final = 90_000
_OFFSETS_MIN: Final = (0, -60, -120, -330, -345, -540, 180, 300, 420, 480, None)
_TICK_MS: Final = 10_000


class Viewer:
    """One browser profile; `take` returns its next events in the order in which it posts them."""

    def __init__(self, catalogue: Catalogue, seed: str, now_ms: int, *, strays: bool = True) -> None:
        """Start a viewer some hours before `now_ms`; equal arguments give equal events."""
        rng = random.Random(seed)  # noqa: S311 - simulation, no secrets
        self.client_id: Final = f"{rng.getrandbits(128):032x}"
        self._catalogue = catalogue
        self._rng = rng
        self._strays = strays
        self._now_ms = now_ms
        self._clock_ms = now_ms - int(rng.random() ** 2 * BACKLOG_MS)
        self._offset_min = rng.choice(_OFFSETS_MIN)
        self._tab = str(rng.randrange(1, 2**31))
        # Two in three run a client that numbers its events.
        self._epoch = f"{rng.getrandbits(64):016x}" if rng.random() < 2 / 3 else None
        self._seq = 0
        self._held: list[Event] = []
        self._script: Final = self._watch()

    def take(self, count: int, now_ms: int) -> list[Event]:
        """Return the next `count` events; `now_ms` is the viewer's true time."""
        self._now_ms = max(self._now_ms, now_ms)
        events: list[Event] = []
        rng = self._rng
        while len(events) < count:
            if self._held and rng.random() < 0.1:  # noqa: PLR2004 - a tenth: held for ten events on average
                events.append(self._held.pop())
                continue
            event = next(self._script)
            if rng.random() < 0.02:  # noqa: PLR2004 - one in fifty waits in a queue and arrives out of order
                self._held.append(event)
            else:
                events.append(event)
        return events

    def _watch(self) -> Iterator[Event]:
        """Yield what one person does, without end."""
        rng = self._rng
        while True:
            video = self._catalogue.pick(rng)
            session = f"{rng.getrandbits(64):016x}"
            known = self._page(video, session)
            yield self._event("video_start", known)
            mode = "background" if rng.random() < 0.2 else "foreground"  # noqa: PLR2004 - share of background play
            if rng.random() < 0.3:  # noqa: PLR2004 - share of videos with an advertisement before
                for _ in range(rng.randrange(1, 4)):
                    yield self._tick(known, mode, ad=True)
            for _ in range(min(int(rng.expovariate(1 / 8)), 200) + 1):
                yield self._tick(known, mode, ad=False)
                habit = rng.random()
                if habit < 0.04:  # noqa: PLR2004 - hides or shows the tab
                    mode = "background" if mode == "foreground" else "foreground"
                    yield self._event("visibility_change", known, is_visible=mode == "foreground")
                elif habit < 0.07:  # noqa: PLR2004 - pauses for up to five minutes
                    yield self._event("player_state_change", known, new_state="paused")
                    self._advance(rng.randrange(1_000, 300_000))
            yield self._event("video_stop", known, reason=rng.choice(("ended", "navigate", "pause", "leave_watch")))
            if rng.random() < 0.05:  # noqa: PLR2004 - browses pages without a video
                yield self._event("context_missing", {}, context_type="channel")
            self._advance(int(rng.expovariate(1 / 60_000)))

    def _page(self, video: Video, session: str) -> Event:
        """Return the fields that the page of a video gives every event."""
        rng = self._rng
        page: Event = {"video_id": video.video_id, "video_session_id": session, "url": video.url}
        readable = rng.random()
        if readable > 0.03:  # noqa: PLR2004 - else the page did not tell the channel
            channel = video.channel
            # A channel that is being renamed shows its old and its new name for a while.
            page["channel_name"] = channel.name if readable > 0.04 else f"{channel.name[:240]} (new)"  # noqa: PLR2004
            page["channel_url"] = channel.url
            page["channel_handle"] = channel.handle
            page["channel_id"] = channel.channel_id
        elif readable > 0.02:  # noqa: PLR2004 - some pages give an empty or null name
            page["channel_name"] = rng.choice(("", None))
        return page

    def _tick(self, known: Event, mode: str, *, ad: bool) -> Event:
        rng = self._rng
        chance = rng.random()
        delta = _TICK_MS
        if chance < 0.2:  # noqa: PLR2004 - a flush before the interval is over
            delta = rng.randrange(0, _TICK_MS)
        elif chance < 0.21:  # noqa: PLR2004 - the longest that a tick may say
            delta = 60_000
        self._advance(delta)
        event = self._event("watch_tick", known, watch_ms_delta=delta)
        if chance < 0.9:  # noqa: PLR2004 - older clients leave it out
            event["watch_mode"] = mode
        event["flush_reason"] = "interval"
        event["playback_rate"] = 1.25
        if ad:
            event["ad"] = True
        elif chance > 0.5:  # noqa: PLR2004 - newer clients say so
            event["ad"] = False
        return event

    def _event(self, event_type: str, known: Event, **extra: object) -> Event:
        event: Event = {
            "schema": 1,
            "event_id": f"{self._rng.getrandbits(128):032x}",
            "event_ts": self._stamp(),
            "event_type": event_type,
            "client_session_id": self.client_id,
            "tab_id": self._tab,
            **known,
            **extra,
        }
        if self._offset_min is not None:
            event["tz_offset_min"] = self._offset_min
        if self._epoch is not None:
            event["seq"] = self._seq
            event["seq_epoch"] = self._epoch
            self._seq += 1
            if self._rng.random() < 0.001:  # noqa: PLR2004 - the browser starts anew
                self._epoch = f"{self._rng.getrandbits(64):016x}"
                self._seq = 0
        return event

    def _stamp(self) -> int:
        """Return the event's time: mostly the clock; some were queued for days, a few clocks are plainly wrong."""
        chance = self._rng.random()
        if chance < 0.005:  # noqa: PLR2004 - offline for up to five days
            return self._clock_ms - self._rng.randrange(5 * DAY_MS)
        if chance < 0.007 and self._strays and _far_from_full_hour(self._now_ms):  # noqa: PLR2004
            if self._rng.random() < 0.5:  # noqa: PLR2004
                return self._clock_ms - self._rng.randrange(8 * DAY_MS, 400 * DAY_MS)
            return self._now_ms + self._rng.randrange(HOUR_MS, 2 * DAY_MS)
        return self._clock_ms

    def _advance(self, by_ms: int) -> None:
        self._clock_ms = min(self._clock_ms + by_ms, self._now_ms)


class Audience:
    """Many viewers of one catalogue, made when first asked for."""

    def __init__(self, seed: int, clients: int, now_ms: int, *, strays: bool = True) -> None:
        """Prepare `clients` viewers; equal arguments give equal events."""
        self.clients: Final = clients
        self._catalogue: Final = Catalogue(seed)
        self._seed: Final = seed
        self._start_ms: Final = now_ms
        self._strays: Final = strays
        self._viewers: Final[dict[int, Viewer]] = {}

    def take(self, client: int, count: int, now_ms: int) -> list[Event]:
        """Return the next `count` events of a client (0 to clients - 1)."""
        viewer = self._viewers.get(client)
        if viewer is None:
            seed = f"viewer {self._seed} {client}"
            viewer = self._viewers[client] = Viewer(self._catalogue, seed, self._start_ms, strays=self._strays)
        return viewer.take(count, now_ms)


def _far_from_full_hour(instant_ms: int) -> bool:
    return STRAY_MARGIN_MS < instant_ms % HOUR_MS < HOUR_MS - STRAY_MARGIN_MS
