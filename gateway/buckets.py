"""Token buckets: how many requests a client may make, and when it may make the next. Pure; times are seconds."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: Clients that are remembered; beyond them the one longest unseen is forgotten, which gives it a full bucket.
MOST_KEYS: Final = 100_000


class Buckets:
    """A bucket for each key: `burst` requests at once after a pause, `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int, most: int = MOST_KEYS) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        #: (requests left, at) by key, the one longest unseen first.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now_s: float) -> float:
        """Take one request from a key's bucket; return 0, or the seconds until there is one to take."""
        left, at = self._left.pop(key, (self._burst, now_s))
        left = min(self._burst, left + (now_s - at) * self._rate)
        granted = left >= 1.0
        if granted:
            left -= 1.0
        self._left[key] = left, now_s
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if granted else (1.0 - left) / self._rate
