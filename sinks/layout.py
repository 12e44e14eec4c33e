"""The shape of a lake's daily files, the rule of their days and their topics, written down and checked at each start.

Two formats or shard counts in one folder would count every row twice; topics that were made anew know nothing of
what the files hold. A check of each file alone would come too late, with the first row of a day that has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import orjson

from sinks.keys import LAYOUT_KEY, Format
from sinks.patience import Patience, patiently
from sinks.store import PreconditionFailed, Store, StoreUnavailable
from streams.contract.days import DAY_RULES, DayRule

_VERSION: Final = 1
_DAY_RULE: Final = "day_rule"
_NEW_PLACE: Final = (
    "give SINKS_LAKE a new place and write the days that the topics no longer hold with `watchtime rebuild --from`"
)


class LayoutError(Exception):
    """The lake was begun with other settings or topics."""


async def settle_layout(
    store: Store,
    form: Format,
    shards: int,
    topic_ids: Mapping[str, str] = MappingProxyType({}),
    day_rule: DayRule | None = None,
) -> None:
    """Write the lake's layout if it has none, or add to it what it lacks; LayoutError when it says otherwise.

    `day_rule` None: the caller was not told it, so that it is neither written nor checked.
    """
    patience = Patience()
    while True:
        found = await patiently(store.get, LAYOUT_KEY)
        layout = orjson.loads(found.body) if found else {}
        if found:
            _compare(layout, form, shards, topic_ids)
            _compare_rule(layout, day_rule)
        topics = {**layout.get("topics", {}), **topic_ids}
        wanted: dict[str, Any] = {
            "version": _VERSION,
            "format": form,
            "shards": shards,
            "topics": dict(sorted(topics.items())),
        }
        # Layouts of earlier releases do not have it.
        if rule := day_rule or layout.get(_DAY_RULE):
            wanted[_DAY_RULE] = rule
        if wanted == layout:
            return
        body = orjson.dumps(wanted, option=orjson.OPT_APPEND_NEWLINE)
        try:
            await store.put(LAYOUT_KEY, body, {"version": str(_VERSION)}, etag=found.stat.etag if found else None)
        except PreconditionFailed:
            continue  # another worker was first: see what it wrote
        except StoreUnavailable as why:
            await patience.bear(why)


async def recorded_day_rule(store: Store) -> DayRule | None:
    """Return the rule of a lake's days; None when it has no layout, or one that does not say."""
    found = await store.get(LAYOUT_KEY)
    rule = orjson.loads(found.body).get(_DAY_RULE) if found else None
    if rule is not None and rule not in DAY_RULES:
        raise LayoutError(
            f"{LAYOUT_KEY} has the day rule {rule!r}, this program knows {', '.join(DAY_RULES)}: update it"
        )
    return cast("DayRule | None", rule)


def _compare_rule(found: Mapping[str, Any], day_rule: DayRule | None) -> None:
    known = found.get(_DAY_RULE, day_rule)
    if day_rule is not None and known != day_rule:
        raise LayoutError(
            f"the lake's days are counted by STREAMS_DAY={known}, and this stack counts by {day_rule}: set it back, or "
            f"{_NEW_PLACE}"
        )


def _compare(found: dict[str, Any], form: Format, shards: int, topic_ids: Mapping[str, str]) -> None:
    if found.get("version") != _VERSION:
        raise LayoutError(
            f"{LAYOUT_KEY} has version {found.get('version')!r}, this program knows {_VERSION}: update it"
        )
    if found.get("format") != form:
        raise LayoutError(
            f"the lake's files are {found.get('format')}, SINKS_FORMAT asks for {form}: set it back, or {_NEW_PLACE}"
        )
    if found.get("shards") != shards:
        raise LayoutError(
            f"the lake's days have {found.get('shards')} files a table, but the daily topics now have {shards} "
            f"partitions: {_NEW_PLACE}"
        )
    for topic, topic_id in topic_ids.items():
        known = found.get("topics", {}).get(topic, topic_id)
        if known != topic_id:
            raise LayoutError(
                f"the lake's files come from a topic {topic} with id {known}, but the broker's has id {topic_id}: it "
                f"was made anew, or the lake belongs to another stack; {_NEW_PLACE}"
            )
