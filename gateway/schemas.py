"""JSON Schemas of what goes in and what comes out, made from the contract's own constants. Pure.

`python -m gateway.schemas FOLDER` writes them and the AsyncAPI document; a test holds the files in docs/schemas to
them. They only ever grow: a test refuses a change that would break who writes or reads them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from streams.contract import event as limits
from streams.contract.event import BASE_FIELDS, MAX_CODE_POINTS, MAX_DELTA_MS, REQUIRED_BY_TYPE, SCHEMA
from streams.contract.rows import TABLES, Table
from streams.contract.topics import EVENTS, REJECTED

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_INT64: Final[Schema] = {"type": "integer", "minimum": limits.INT64_MIN, "maximum": limits.INT64_MAX}
_COUNTER: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": limits.INT64_MAX}
_TEXT: Final[Schema] = {"type": "string", "pattern": r"\S"}
_DAY: Final[Schema] = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_TIME: Final[Schema] = {**_INT64, "description": "epoch milliseconds"}


def event() -> Schema:
    """Return the schema of an event as a client posts it."""
    # A length alone says nothing about values of other types, which are accepted and kept.
    properties: dict[str, Schema] = {name: {"maxLength": most} for name, most in MAX_CODE_POINTS.items()}
    for name in ("event_id", "client_session_id", "tab_id"):
        properties[name] = {**_TEXT, "maxLength": MAX_CODE_POINTS[name]}
    properties |= {
        # JavaScript's and Python's `==` take true for 1.
        "schema": {"enum": [SCHEMA, True]},
        "event_ts": _TIME,
        "event_type": {"enum": list(REQUIRED_BY_TYPE)},
        "seq": {"description": f"grows by 1 within one seq_epoch; counts if an int 0..{limits.MAX_SEQ}"},
        "ad": {"description": "true: an advertisement was showing"},
        "tz_offset_min": {"description": "JavaScript's getTimezoneOffset"},
    }
    return {
        "$schema": DIALECT,
        "title": "Event, schema 1",
        "description": f"At most {limits.MAX_EVENT_BYTES} bytes as compact JSON. Unknown fields are kept.",
        "type": "object",
        "required": list(BASE_FIELDS),
        "properties": properties,
        "allOf": [_by_type(name, required) for name, required in REQUIRED_BY_TYPE.items()],
    }


def _by_type(event_type: str, required: tuple[str, ...]) -> Schema:
    then: Schema = {"required": list(required), "properties": {}}
    for name in required:
        if name in {"video_id", "video_session_id"}:
            then["properties"][name] = _TEXT
    if event_type == "watch_tick":
        then["properties"]["watch_ms_delta"] = {"type": "integer", "minimum": 0, "maximum": MAX_DELTA_MS}
        then["properties"]["watch_mode"] = {"enum": ["foreground", "background", None]}
    if event_type == "visibility_change":
        then["properties"]["is_visible"] = {"type": "boolean"}
    return {"if": {"properties": {"event_type": {"const": event_type}}, "required": ["event_type"]}, "then": then}


def published_event() -> Schema:
    """Return the schema of a line of `watch.events`."""
    posted = event()
    added = {"received_at": _TIME, "client_id": _TEXT}
    return posted | {
        "title": f"A line of {EVENTS}",
        "required": [*posted["required"], *added],
        "properties": posted["properties"] | added,
    }


def rejected() -> Schema:
    """Return the schema of a value of `watch.rejected` that the gateway or `streams` wrote."""
    properties = {
        "reason": {"type": "string", "description": "the verdict"},
        "received_at": _TIME,
        "event": {"type": "string", "description": "the event's JSON, its first 16 KiB"},
    }
    place = {
        name: {"type": "integer", "minimum": 0, "description": f"{what}, where `streams` could not read a line"}
        for name, what in (
            ("partition", f"partition of {EVENTS}"),
            ("offset", "offset of the record"),
            ("line", "number of the line in it, from 0"),
        )
    }
    return {
        "$schema": DIALECT,
        "title": f"A value of {REJECTED}",
        "type": "object",
        "required": list(properties),
        "properties": properties | place,
    }


def row(table: Table) -> Schema:
    """Return the schema of a value of a daily topic."""
    properties: dict[str, Schema] = {"dt": _DAY}
    for name in table.columns[1:]:
        properties[name] = _COUNTER
    if table.numeric_id:
        properties[str(table.id_column)] = {"type": "integer", "minimum": 0, "maximum": 23}
    elif table.id_column:
        properties[table.id_column] = {"type": "string", "minLength": 1}
    if table.labelled:
        properties["channel"] = {"type": ["string", "null"]}
    properties["updated_at"] = {**_TIME, "description": "append time of the newest raw record in it, epoch ms"}
    return {
        "$schema": DIALECT,
        "title": f"A value of {table.topic}: the absolute totals of a row, the last write of a key wins",
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


def all_schemas() -> dict[str, Schema]:
    """Return every schema by the name of its file."""
    named = {"event": event(), EVENTS: published_event(), REJECTED: rejected()}
    return named | {table.topic: row(table) for table in TABLES}


def asyncapi() -> Schema:
    """Return the AsyncAPI document of the public topics."""
    keys = {EVENTS: "client_id", REJECTED: "client_id, or none"}
    keys |= {table.topic: "dt|id" if table.id_column else "dt" for table in TABLES}
    types = {EVENTS: "application/x-ndjson"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Watchtime's topics",
            "version": str(SCHEMA),
            "description": "Read with isolation.level=read_committed. Schemas only grow: new optional or new fields.",
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": name,
                "messages": {
                    "value": {
                        "contentType": types.get(name, "application/json"),
                        "payload": {"$ref": f"./{name}.schema.json"},
                        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
                    }
                },
            }
            for name, key in keys.items()
        },
        "operations": {f"read {name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in keys},
    }


def files() -> dict[str, str]:
    """Return the documents by file name, as they are written."""
    documents = {f"{name}.schema.json": schema for name, schema in all_schemas().items()}
    documents["asyncapi.json"] = asyncapi()
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def main(arguments: list[str]) -> int:
    """Write the documents into a folder."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gateway.schemas FOLDER\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
