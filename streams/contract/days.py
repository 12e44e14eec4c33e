"""Which day and hour an event counts in. All times are epoch milliseconds; `dt` is a day as `YYYY-MM-DD`."""

from __future__ import annotations

import datetime
import functools
from typing import Final, Literal, NamedTuple, get_args

DayRule = Literal["event", "received", "local"]
DAY_RULES: Final[tuple[str, ...]] = get_args(DayRule)

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
#: How far a gateway's clock may differ from the broker's before the broker's time is used instead.
MAX_CLOCK_SKEW_MS: Final = HOUR_MS
#: The instants in which an event is believed, relative to its delivery; both ends included.
MAX_LATE_MS: Final = 7 * DAY_MS
MAX_EARLY_MS: Final = 10 * 60_000
MAX_TZ_OFFSET_MIN: Final = 840

# When nothing about a day can change any more (see ARCHITECTURE.md, "Old days need arithmetic only").
FOLD_DAYS: Final = 10  # folding drops the aggregates of dt when log time passes dt + 10 days
TOTALS_DAYS: Final = 24  # totals neither sum nor publish days older than this
FILE_DAYS: Final = 33  # sinks write days up to this age


class Slot(NamedTuple):
    """Where an event counts: day, hour of that day, and whether its own time was not believed."""

    dt: str
    hour: int
    moved: bool


def delivery_ms(received_at: int | None, broker_ms: int) -> int:
    """Return the delivery time of a line: the gateway's, if near the broker's, else the broker's."""
    if received_at is not None and -MAX_CLOCK_SKEW_MS <= received_at - broker_ms <= MAX_CLOCK_SKEW_MS:
        return received_at
    return broker_ms


def slot_of(rule: DayRule, event_ts: int | None, delivered_ms: int, tz_offset_min: int | None) -> Slot:
    """Return the slot of a valid line under a day rule."""
    if rule == "received":
        return _slot_at(delivered_ms // HOUR_MS)
    if event_ts is not None and -MAX_LATE_MS <= event_ts - delivered_ms <= MAX_EARLY_MS:
        slot_at, instant = _slot_at, event_ts
    else:
        slot_at, instant = _moved_slot_at, delivered_ms
    if rule == "local" and tz_offset_min is not None and -MAX_TZ_OFFSET_MIN <= tz_offset_min <= MAX_TZ_OFFSET_MIN:
        instant -= tz_offset_min * 60_000
    return slot_at(instant // HOUR_MS)


# Called for each event: a cache is quickest where the only argument is a number.
@functools.lru_cache(maxsize=4096)
def _slot_at(epoch_hour: int) -> Slot:
    return Slot(dt_of_day(epoch_hour // 24), epoch_hour % 24, moved=False)


@functools.lru_cache(maxsize=4096)
def _moved_slot_at(epoch_hour: int) -> Slot:
    return Slot(dt_of_day(epoch_hour // 24), epoch_hour % 24, moved=True)


@functools.lru_cache(maxsize=1024)
def dt_of_day(epoch_day: int) -> str:
    """Return `YYYY-MM-DD` of a day counted from the epoch, clamped to the years 1 to 9999."""
    ordinal = min(max(_EPOCH_ORDINAL + epoch_day, 1), _MAX_ORDINAL)
    return datetime.date.fromordinal(ordinal).isoformat()


_EPOCH_ORDINAL: Final = datetime.date(1970, 1, 1).toordinal()
_MAX_ORDINAL: Final = datetime.date.max.toordinal()


@functools.lru_cache(maxsize=1024)
def day_start_ms(dt: str) -> int:
    """Return the first millisecond of a UTC day; ValueError when `dt` is no ISO date."""
    return (datetime.date.fromisoformat(dt).toordinal() - _EPOCH_ORDINAL) * DAY_MS


def dt_of_ms(instant_ms: int) -> str:
    """Return the UTC day of an instant."""
    return dt_of_day(instant_ms // DAY_MS)


def shift_dt(dt: str, days: int) -> str:
    """Return the day `days` after (before, when negative) `dt`."""
    return dt_of_day(day_start_ms(dt) // DAY_MS + days)
