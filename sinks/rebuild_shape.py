"""Format and number of the files that a rebuilt day has: the lake's own, or what its stack would give a new lake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import orjson

from sinks.keys import FORMATS, LAYOUT_KEY, Format
from sinks.layout import LayoutError
from sinks.patience import patiently
from sinks.store import Store
from streams.variables import text


class Shape(NamedTuple):
    """The shape of a lake's files."""

    form: Format
    #: Files of a table and day.
    shards: int


async def recorded_shape(store: Store) -> Shape | None:
    """Return the shape that a lake was begun with; None for a new one."""
    found = await patiently(store.get, LAYOUT_KEY)
    return _shape(orjson.loads(found.body)) if found else None


_DEFAULT: Final[dict[str, Any]] = {"format": "parquet", "shards": 1}


def default_shape(data_dir: Path, environ: Mapping[str, str]) -> Shape:
    """Return the shape that a stack gives a new lake: by its variables, else as it has recorded, else the usual one."""
    try:
        record = orjson.loads((data_dir / "stack.json").read_bytes())
    except FileNotFoundError:
        record = {}
    said = {"format": text(environ, "SINKS_FORMAT"), "shards": text(environ, "STREAMS_SHARDS")}
    return _shape({**_DEFAULT, **record, **{name: value for name, value in said.items() if value}})


def _shape(told: Mapping[str, Any]) -> Shape:
    if told["format"] not in FORMATS or not str(told["shards"]).isdigit():
        raise LayoutError(
            f"format {told['format']!r} with {told['shards']!r} files a table and day is no shape of a lake: "
            f"use one of {', '.join(FORMATS)} and a whole number"
        )
    return Shape(cast("Format", told["format"]), int(told["shards"]))
