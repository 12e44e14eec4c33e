"""The window of repeats, played event by event, for the few clients that may have gone beyond it. Pure.

Exact counting knows every identity; a stream remembers a bounded number of them. Where both disagree, the stream
did as it promised and the recount must follow it; those events are listed apart.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_EPOCHS: Final = 64
MAX_INTERVALS: Final = 1_024
MAX_IDS: Final = 1_024


class Window:
    """What a stream remembers of one client; `is_first` must be asked in the order of deliveries."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        #: The last ids by first acceptance; a repeat does not make its id younger.
        self._ids: Final[OrderedDict[bytes, None]] = OrderedDict()
        #: Epochs by their newest first delivery, the longest silent one at the front.
        self._epochs: Final[OrderedDict[bytes, list[tuple[int, int]]]] = OrderedDict()

    def is_first(self, epoch: bytes | None, seq: int | None, event_id: bytes | None) -> bool:
        """Tell whether the stream takes an event for a new one, and remember it."""
        if epoch is not None and seq is not None:
            return self._is_new_number(epoch, seq)
        if event_id is None:
            return True
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)
        return True

    def _is_new_number(self, epoch: bytes, seq: int) -> bool:
        intervals = self._epochs.get(epoch)
        if intervals is None:
            if len(self._epochs) == MAX_EPOCHS:
                self._epochs.popitem(last=False)
            intervals = self._epochs[epoch] = []
        if any(low <= seq <= high for low, high in reversed(intervals)):
            return False
        self._epochs[epoch] = widened = _with(intervals, seq)
        if len(widened) > MAX_INTERVALS:
            # The lowest gap counts as seen from here on.
            widened[0:2] = [(widened[0][0], widened[1][1])]
        self._epochs.move_to_end(epoch)
        return True


def _with(intervals: list[tuple[int, int]], seq: int) -> list[tuple[int, int]]:
    """Return sorted, disjoint, non-adjacent inclusive intervals with one more number."""
    below = [pair for pair in intervals if pair[1] < seq - 1]
    above = [pair for pair in intervals if pair[0] > seq + 1]
    touching = intervals[len(below) : len(intervals) - len(above)]
    low = min([seq, *(pair[0] for pair in touching)])
    high = max([seq, *(pair[1] for pair in touching)])
    return [*below, (low, high), *above]
