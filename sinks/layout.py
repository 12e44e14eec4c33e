"""The shape of a lake's daily files, written down with the first of them and checked at every start.

Two formats or shard counts in one folder would count every row twice.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from sinks.keys import LAYOUT_KEY, Format
from sinks.patience import patiently
from sinks.store import PreconditionFailed, Store

_VERSION: Final = 1


class LayoutError(Exception):
    """The lake was begun with other settings."""


async def settle_layout(store: Store, form: Format, shards: int) -> None:
    """Write the lake's layout if it has none; LayoutError when it has another."""
    wanted = {"version": _VERSION, "format": form, "shards": shards}
    body = orjson.dumps(wanted, option=orjson.OPT_APPEND_NEWLINE)
    while True:
        found = await patiently(lambda: store.get(LAYOUT_KEY))
        if found is not None:
            _compare(orjson.loads(found.body), wanted)
            return
        try:
            await patiently(lambda: store.put(LAYOUT_KEY, body, {"version": str(_VERSION)}, etag=None))
        except PreconditionFailed:
            continue  # another worker was first, or an unanswered try of ours was: read what is there
        return


def _compare(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if found.get("version") != _VERSION:
        raise LayoutError(
            f"{LAYOUT_KEY} has version {found.get('version')!r}, this program knows {_VERSION}: update it"
        )
    if found.get("format") != wanted["format"]:
        raise LayoutError(
            f"the lake's files are {found.get('format')}, SINKS_FORMAT asks for {wanted['format']}: set it back, or "
            "give SINKS_LAKE a new place and write the days that the topics no longer hold with `watchtime rebuild "
            "--from`"
        )
    if found.get("shards") != wanted["shards"]:
        raise LayoutError(
            f"the lake's days have {found.get('shards')} files a table, but the daily topics now have "
            f"{wanted['shards']} partitions: give SINKS_LAKE a new place and write the days that the topics no longer "
            "hold with `watchtime rebuild --from`"
        )
