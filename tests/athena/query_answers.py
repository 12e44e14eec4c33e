"""What each ready-made query must return for the sample, in plain Python: the second half of `answers`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.athena.answers import (
    Rounded,
    Rows,
    channel_day_ranks,
    channel_week_changes,
    channel_week_ranks,
    day_count,
    monday,
    newest_label,
    video_day_ranks,
    video_week_ranks,
    watched,
    week_changes,
    week_name,
    weekday,
    with_channel,
)
from tests.athena.answers import new_channels as all_new_channels
from tests.athena.asked import FIRST, GIVEN, LAST, TOP, hours, minutes, percent
from tests.athena.raw_answers import delays, event_types, sessions
from tests.athena.sample import MISSING, Fact, Sample, grouped, label_of, sums


def _asked(facts: list[Fact]) -> list[Fact]:
    return [fact for fact in facts if FIRST <= fact.dt <= LAST]


def _longest(groups: dict[Any, list[Fact]], measure: Callable[[list[Fact]], float] = watched) -> list[tuple[Any, Any]]:
    """Return groups by falling measure, ties by key, the first few."""
    return sorted(groups.items(), key=lambda item: (-measure(item[1]), item[0]))[:TOP]


def watch_time_by_day(data: Sample) -> Rows:
    rows: Rows = []
    seen: list[int] = []
    for dt, facts in sorted(grouped(_asked(data.facts), lambda fact: fact.dt).items()):
        fg, bg, views, _ = sums(facts)
        seen.append(fg + bg)
        mean = sum(seen[-7:]) / len(seen[-7:])
        rows.append((dt, hours(fg + bg), hours(fg), hours(bg), views, hours(mean)))
    return rows


def watch_time_by_week(data: Sample) -> Rows:
    rows = []
    for week, now, _, more, ratio in week_changes(data):
        facts = [fact for fact in data.facts if monday(fact.dt) == week]
        if FIRST <= week <= LAST:
            grown = None if ratio is None else Rounded(100 * ratio, 1)
            rows.append((week_name(week), week, day_count(facts), hours(now), hours(more), grown, sums(facts)[2]))
    return sorted(rows, key=lambda row: row[1])


def top_videos(data: Sample) -> Rows:
    found = grouped(_asked(data.facts), lambda fact: fact.video)
    return [
        (video, newest_label(facts), hours(watched(facts)), sums(facts)[2], day_count(facts))
        for video, facts in _longest(found)
    ]


def top_channels(data: Sample) -> Rows:
    everything = watched(_asked(data.facts))
    return [
        (channel, hours(watched(facts)), percent(watched(facts), everything), sums(facts)[2], day_count(facts))
        for channel, facts in _longest(grouped(_asked(with_channel(data)), lambda fact: fact.channel))
    ]


def _leading(ranks: Rows) -> Rows:
    return sorted(row for row in ranks if FIRST <= row[0] <= LAST and row[1] <= TOP)


def top_videos_by_day(data: Sample) -> Rows:
    return [(*row[:4], minutes(row[4]), row[8]) for row in _leading(video_day_ranks(data))]


def top_channels_by_day(data: Sample) -> Rows:
    return [(*row[:3], minutes(row[3]), row[7]) for row in _leading(channel_day_ranks(data))]


def top_videos_by_week(data: Sample) -> Rows:
    return [(*row[:5], hours(row[5]), row[9]) for row in _leading(video_week_ranks(data))]


def top_channels_by_week(data: Sample) -> Rows:
    return [(*row[:4], hours(row[4]), row[8]) for row in _leading(channel_week_ranks(data))]


def background_channels(data: Sample) -> Rows:
    groups = grouped(_asked(with_channel(data)), lambda fact: fact.channel)
    long = {channel: facts for channel, facts in groups.items() if watched(facts) >= 3_600_000}
    return [
        (channel, percent(sums(facts)[1], watched(facts)), hours(sums(facts)[1]), hours(watched(facts)))
        for channel, facts in _longest(long, lambda facts: sums(facts)[1] / watched(facts))
    ]


def minutes_per_view(data: Sample) -> Rows:
    groups = grouped(_asked(data.facts), lambda fact: fact.video)
    seen = {video: facts for video, facts in groups.items() if sums(facts)[2] >= 3}
    return [
        (video, newest_label(facts), Rounded(watched(facts) / 60_000 / sums(facts)[2], 2), sums(facts)[2])
        for video, facts in _longest(seen, lambda facts: watched(facts) / sums(facts)[2])
    ]


def _movers(data: Sample, sign: int) -> Rows:
    rows = []
    changes = [row for row in channel_week_changes(data) if FIRST <= row[0] <= LAST and sign * row[4] > 0]
    counts: Counter[str] = Counter()
    for week, channel, now, before, change, _ in sorted(changes, key=lambda row: (row[0], -sign * row[4], row[1])):
        counts[week] += 1
        if counts[week] <= TOP:
            rows.append((week, channel, hours(now), hours(before), hours(sign * change)))
    return rows


def channel_risers(data: Sample) -> Rows:
    return _movers(data, 1)


def channel_fallers(data: Sample) -> Rows:
    return _movers(data, -1)


def new_channels(data: Sample) -> Rows:
    found = [row for row in all_new_channels(data) if FIRST <= row[0] <= LAST]
    return [
        (first, channel, minutes(on_first), hours(watch), days, last)
        for first, _, channel, last, days, on_first, watch, _ in sorted(found, key=lambda r: (r[0], -r[6], r[2]))
    ]


def hours_of_day(data: Sample) -> Rows:
    facts = _asked(data.facts)
    days = day_count(facts)
    return [
        (hour, minutes(watched(some) / days), minutes(sums(some)[1] / days), sums(some)[2])
        for hour, some in sorted(grouped(facts, lambda fact: fact.hour).items())
    ]


def hours_of_week(data: Sample) -> Rows:
    groups = grouped(_asked(data.facts), lambda fact: (weekday(fact.dt), fact.hour))
    return [(*key, minutes(watched(some)), day_count(some)) for key, some in sorted(groups.items()) if watched(some)]


def weekdays(data: Sample) -> Rows:
    groups = grouped(_asked(data.facts), lambda fact: weekday(fact.dt))
    return [(day, day_count(some), minutes(watched(some) / day_count(some))) for day, some in sorted(groups.items())]


def data_quality(data: Sample) -> Rows:
    rows = []
    for dt, (total, valid, invalid, no_video, no_channel, again, moved) in sorted(data.ingest.items()):
        if FIRST <= dt <= LAST:
            rates = ((invalid, total), (no_video + no_channel, valid), (again, total + again), (moved, total))
            rows.append((dt, total, *(percent(part, whole, 2) for part, whole in rates)))
    return rows


def missing_days(data: Sample) -> Rows:
    assert set(MISSING[:2]).isdisjoint(data.ingest)
    return [(MISSING[0], MISSING[1], 2)]


def tables_agree(data: Sample) -> Rows:
    rows = []
    for dt, facts in sorted(grouped(_asked(data.facts), lambda fact: fact.dt).items()):
        nameless = watched([fact for fact in facts if fact.channel is None])
        rows.append((dt, watched(facts), watched(facts), nameless, "agrees"))
    return rows


def unknown_channels(data: Sample) -> Rows:
    by_day = grouped(_asked(data.facts), lambda fact: (fact.dt, fact.video))
    nameless = [fact for facts in by_day.values() if label_of(facts) is None for fact in facts]
    return [
        (video, minutes(watched(facts)), sums(facts)[2], day_count(facts))
        for video, facts in _longest(grouped(nameless, lambda fact: fact.video))
    ]


def advertisements(data: Sample) -> Rows:
    groups = grouped(_asked(with_channel(data)), lambda fact: fact.channel)
    shown = {channel: facts for channel, facts in groups.items() if sums(facts)[3]}
    return [
        (channel, minutes(ad), minutes(watched(facts)), percent(ad, ad + watched(facts)))
        for channel, facts in _longest(shown, lambda facts: sums(facts)[3])
        for ad in [sums(facts)[3]]
    ]


def one_channel(data: Sample) -> Rows:
    return [
        (row[0], row[1], minutes(row[3]), minutes(row[6]), row[7])
        for row in sorted(channel_day_ranks(data))
        if row[2] == GIVEN["channel"] and FIRST <= row[0] <= LAST
    ]


def one_video(data: Sample) -> Rows:
    facts = [fact for fact in _asked(data.facts) if fact.video == GIVEN["video"]]
    return [
        (dt, label_of(some), minutes(watched(some)), minutes(sums(some)[1]), sums(some)[2])
        for dt, some in sorted(grouped(facts, lambda fact: fact.dt).items())
    ]


def videos_of_channel(data: Sample) -> Rows:
    facts = [fact for fact in _asked(data.facts) if fact.channel == GIVEN["channel"]]
    return [
        (video, minutes(watched(some)), sums(some)[2], day_count(some))
        for video, some in _longest(grouped(facts, lambda fact: fact.video))
    ]


def steady_channels(data: Sample) -> Rows:
    watching: dict[str, list[int]] = {}
    for (_, channel), facts in grouped(_asked(with_channel(data)), lambda fact: (fact.dt, fact.channel)).items():
        if watched(facts):
            watching.setdefault(channel, []).append(watched(facts))
    ordered = sorted(watching.items(), key=lambda item: (-len(item[1]), -sum(item[1]), item[0]))
    return [(channel, len(found), minutes(sum(found) / len(found))) for channel, found in ordered[:TOP]]


def concentration(data: Sample) -> Rows:
    rows = []
    for dt, facts in sorted(grouped(_asked(with_channel(data)), lambda fact: fact.dt).items()):
        found = sorted((watched(some) for some in grouped(facts, lambda fact: fact.channel).values()), reverse=True)
        rows.append((dt, len(found), percent(found[0], sum(found)), percent(sum(found[:3]), sum(found))))
    return rows


def viewers(data: Sample) -> Rows:
    rows = []
    for dt, facts in sorted(grouped(_asked(data.facts), lambda fact: fact.dt).items()):
        found = [watched(some) for some in grouped(facts, lambda fact: fact.client).values()]
        found = [ms for ms in found if ms]
        rows.append((dt, len(found), minutes(sum(found) / len(found)), minutes(max(found))))
    return rows


QUERIES: dict[str, Callable[[Sample], Rows]] = {
    query.__name__: query
    for query in (
        advertisements,
        background_channels,
        channel_fallers,
        channel_risers,
        concentration,
        data_quality,
        delays,
        event_types,
        hours_of_day,
        hours_of_week,
        minutes_per_view,
        missing_days,
        new_channels,
        one_channel,
        one_video,
        sessions,
        steady_channels,
        tables_agree,
        top_channels,
        top_channels_by_day,
        top_channels_by_week,
        top_videos,
        top_videos_by_day,
        top_videos_by_week,
        unknown_channels,
        videos_of_channel,
        viewers,
        watch_time_by_day,
        watch_time_by_week,
        weekdays,
    )
}
