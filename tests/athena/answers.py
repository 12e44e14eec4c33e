"""What each view and each ready-made query must say about the sample, computed from its facts in plain Python."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.athena.sample import Fact, Sample, day_of, grouped, label_of, sums

Rows = list[tuple[Any, ...]]


class Rounded(NamedTuple):
    """A number that the answer shows rounded to some digits."""

    value: float
    digits: int


def share(part: float, whole: float) -> float | None:
    """Return a part of a whole, None of nothing."""
    return part / whole if whole else None


def monday(dt: str) -> str:
    """Return the Monday of a day's ISO week."""
    day = datetime.date.fromisoformat(dt)
    return (day - datetime.timedelta(days=day.weekday())).isoformat()


def week_name(dt: str) -> str:
    """Return the ISO week of a day as 2026-W01."""
    year, week, _ = datetime.date.fromisoformat(dt).isocalendar()
    return f"{year}-W{week:02}"


def _measures(facts: list[Fact]) -> tuple[Any, ...]:
    fg, bg, views, ad = sums(facts)
    watch = fg + bg
    return (watch, watch / 3_600_000, fg, bg, share(bg, watch), views, share(watch, views), ad)


def watched(facts: list[Fact]) -> int:
    """Return the watch time of facts in ms."""
    fg, bg, _, _ = sums(facts)
    return fg + bg


def with_channel(data: Sample) -> list[Fact]:
    """Return the facts whose channel is known."""
    return [fact for fact in data.facts if fact.channel is not None]


def day_count(facts: list[Fact]) -> int:
    """Return on how many days the facts are."""
    return len({fact.dt for fact in facts})


def day_totals(data: Sample) -> Rows:
    return [(dt, *_measures(facts)) for dt, facts in grouped(data.facts, lambda fact: fact.dt).items()]


def week_totals(data: Sample) -> Rows:
    weeks = grouped(data.facts, lambda fact: (monday(fact.dt), week_name(fact.dt)))
    return [(*week, day_count(facts), *_measures(facts)) for week, facts in weeks.items()]


def video_days(data: Sample) -> Rows:
    found = grouped(data.facts, lambda fact: (fact.dt, fact.video))
    return [(*key, label_of(facts), *_measures(facts)) for key, facts in found.items()]


def channel_days(data: Sample) -> Rows:
    found = grouped(with_channel(data), lambda fact: (fact.dt, fact.channel))
    return [(*key, *_measures(facts)) for key, facts in found.items()]


def newest_label(facts: list[Fact]) -> str | None:
    """Return the label of the last day that has one."""
    by_day = grouped(facts, lambda fact: fact.dt)
    labels = [label_of(by_day[dt]) for dt in sorted(by_day, reverse=True)]
    return next((label for label in labels if label), None)


def video_weeks(data: Sample) -> Rows:
    found = grouped(data.facts, lambda fact: (monday(fact.dt), fact.video))
    return [(*key, newest_label(facts), day_count(facts), *_measures(facts)) for key, facts in found.items()]


def channel_weeks(data: Sample) -> Rows:
    found = grouped(with_channel(data), lambda fact: (monday(fact.dt), fact.channel))
    return [(*key, day_count(facts), *_measures(facts)) for key, facts in found.items()]


def _ranked(found: Rows, watch_at: int) -> Rows:
    """Return rows with their place behind the first column: by watch time, then by the second column."""
    places: dict[str, int] = defaultdict(int)
    ranked = []
    for row in sorted(found, key=lambda row: (row[0], -row[watch_at], row[1])):
        places[row[0]] += 1
        ranked.append((row[0], places[row[0]], *row[1:]))
    return ranked


def video_day_ranks(data: Sample) -> Rows:
    return [(*row[:8], row[9]) for row in _ranked(video_days(data), 3)]


def channel_day_ranks(data: Sample) -> Rows:
    return [(*row[:7], row[8]) for row in _ranked(channel_days(data), 2)]


def video_week_ranks(data: Sample) -> Rows:
    return [(*row[:9], row[10]) for row in _ranked(video_weeks(data), 4)]


def channel_week_ranks(data: Sample) -> Rows:
    return [(*row[:8], row[9]) for row in _ranked(channel_weeks(data), 3)]


def _changes(found: dict[tuple[str, Any], int], last: str) -> Rows:
    """Return (week, key, ms, ms before, change, share) of ms by (week, key)."""
    keys = set()
    for week, key in found:
        keys |= {(week, key), (_next_week(week), key)}
    rows = []
    for week, key in sorted(keys, key=repr):
        if week <= last:
            now, before = found.get((week, key), 0), found.get((_week_before(week), key), 0)
            rows.append((week, key, now, before, now - before, share(now - before, before)))
    return rows


def _next_week(week: str) -> str:
    return (datetime.date.fromisoformat(week) + datetime.timedelta(days=7)).isoformat()


def _week_before(week: str) -> str:
    return (datetime.date.fromisoformat(week) - datetime.timedelta(days=7)).isoformat()


def week_changes(data: Sample) -> Rows:
    found = {(monday(dt), None): 0 for dt in {fact.dt for fact in data.facts}}
    for fact in data.facts:
        found[monday(fact.dt), None] += fact.fg + fact.bg
    return [(week, *rest) for week, _, *rest in _changes(found, max(found)[0])]


def channel_week_changes(data: Sample) -> Rows:
    found: dict[tuple[str, Any], int] = defaultdict(int)
    for fact in with_channel(data):
        found[monday(fact.dt), fact.channel] += fact.fg + fact.bg
    return _changes(found, monday(max(fact.dt for fact in data.facts)))


def new_channels(data: Sample) -> Rows:
    rows = []
    for channel, facts in grouped(with_channel(data), lambda fact: fact.channel).items():
        first = min(fact.dt for fact in facts)
        on_first = [fact for fact in facts if fact.dt == first]
        last, count = max(fact.dt for fact in facts), day_count(facts)
        rows.append((first, monday(first), channel, last, count, watched(on_first), watched(facts), sums(facts)[2]))
    return rows


def weekday(dt: str) -> int:
    """Return 1 for a Monday to 7 for a Sunday."""
    return datetime.date.fromisoformat(dt).isoweekday()


def hours_of_week(data: Sample) -> Rows:
    rows = []
    for (dt, hour), facts in grouped(data.facts, lambda fact: (fact.dt, fact.hour)).items():
        fg, bg, views, ad = sums(facts)
        rows.append((dt, weekday(dt), hour, fg + bg, (fg + bg) / 3_600_000, fg, bg, views, ad))
    return rows


def hours_of_day(data: Sample) -> Rows:
    all_days, all_ms = day_count(data.facts), watched(data.facts)
    rows = []
    for hour, facts in grouped(data.facts, lambda fact: fact.hour).items():
        watch = watched(facts)
        rows.append((hour, watch, watch / 3_600_000, watch / all_days, watch / all_ms, sums(facts)[2]))
    return rows


def data_quality(data: Sample) -> Rows:
    rows = []
    for dt, (total, valid, invalid, no_video, no_channel, again, moved) in data.ingest.items():
        ignored = share(no_video + no_channel, valid)
        rates = (again, share(again, total + again), moved, share(moved, total))
        rows.append((dt, total, valid, invalid, share(invalid, total), no_video, no_channel, ignored, *rates))
    return rows


def _int(value: Any) -> int | None:
    """Read a field as the view must: a number, or text that is the same characters."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, str) and value.isdigit() and str(int(value)) == value else None


def _bool(value: Any) -> bool | None:
    return {"true": True, "false": False, True: True, False: False}.get(value) if type(value) in (str, bool) else None


def events(data: Sample) -> Rows:
    texts = ("video_id", "video_session_id", "channel_name", "channel_id", "channel_handle", "channel_url", "url")
    rows = []
    for event in data.events:
        dt = day_of(event["received_at"])
        base = ("event_id", "event_ts", "event_type", "received_at", "client_id", "client_session_id", "tab_id")
        rows.append(
            (
                *(dt, dt.replace("-", "/")),
                *(event.get(name) for name in base + texts),
                event.get("watch_ms_delta"),
                event.get("watch_mode"),
                _bool(event.get("is_visible")),
                *(None, None),
                _bool(event.get("ad")),
                _int(event.get("content_ms")),
                *(None, None),
                _int(event.get("seq")),
                event.get("seq_epoch"),
                None,
            )
        )
    return rows


VIEWS: dict[str, Callable[[Sample], Rows]] = {
    view.__name__: view
    for view in (
        day_totals,
        week_totals,
        video_days,
        channel_days,
        video_weeks,
        channel_weeks,
        video_day_ranks,
        channel_day_ranks,
        video_week_ranks,
        channel_week_ranks,
        week_changes,
        channel_week_changes,
        new_channels,
        hours_of_week,
        hours_of_day,
        data_quality,
        events,
    )
}
