"""GET /openapi.json: OpenAPI 3.1 of the gateway's own HTTP interface."""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway import schemas
from gateway.answers import JsonAnswer
from gateway.held_days import TABLES
from gateway.live import MOST_ROWS
from gateway.settings import Settings
from streams.contract.event import MAX_BATCH_EVENTS
from streams.contract.rows import Table

Part = dict[str, Any]

_WHY: Final = {
    400: "Not JSON, or a wrong parameter",
    401: "A token, or a viewer's name and password, is missing or not good",
    403: "Host, Origin or invite code is not allowed",
    404: "Not offered as this gateway is set",
    408: "The body did not arrive in time",
    413: "The body is too large, or holds too many events",
    415: "Not application/json, or with a Content-Encoding",
    429: "Too many requests; see Retry-After",
    503: "Not now: keep everything and repeat the same request",
}
_REFUSAL: Final[Part] = {
    "type": "object",
    "required": ["ok", "error"],
    "properties": {"ok": {"const": False}, "error": {"type": "string"}},
}
_INGESTED: Final[Part] = {
    "type": "object",
    "required": ["ok", "accepted", "rejected", "errors"],
    "properties": {
        "ok": {"const": True},
        "accepted": {"type": "integer", "minimum": 0},
        "rejected": {"type": "integer", "minimum": 0},
        "errors": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "required": ["index", "error"],
                "properties": {"index": {"type": "integer", "minimum": 0}, "error": {"type": "string"}},
            },
        },
    },
}
_ENROLLED: Final[Part] = {
    "type": "object",
    "required": ["ok", "install", "token", "expires_ts"],
    "properties": {
        "ok": {"const": True},
        "install": {"type": "string"},
        "token": {"type": "string"},
        "expires_ts": {"type": "integer", "description": "epoch milliseconds"},
    },
}
_OK: Final[Part] = {"type": "object", "required": ["ok"], "properties": {"ok": {"const": True}}}


def document(settings: Settings) -> Part:
    """Return the document of a gateway as it is set."""
    event = {name: value for name, value in schemas.event().items() if name != "$schema"}
    rows = [_row(table) for table in TABLES]
    # Anything else in a body is answered as well: with 200 and a verdict for each event that is none.
    body = {"anyOf": [{"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Batch"}, {}]}
    paths: dict[str, Part] = {
        "/ingest": {
            "post": {
                "summary": "Take events; 200 only after the broker has them",
                "security": [{"token": []}] if settings.auth else [],
                "requestBody": _json_body(body),
                "responses": _answers(_INGESTED, 400, 401, 403, 408, 413, 415, 429, 503),
            },
            "options": _preflight(),
        },
        "/enroll": {
            "post": {
                "summary": "A token for one install; with a good token a fresh one for the same install",
                "requestBody": _json_body({"type": "object", "properties": {"invite": {"type": "string"}}}),
                "responses": _answers(_ENROLLED, 400, 401, 403, 404, 408, 413, 415, 429),
            },
            "options": _preflight(),
        },
        "/health": {"get": {"summary": "The process lives", "responses": _answers(_OK, 403)}},
        "/ready": {"get": {"summary": "The broker takes events", "responses": _answers(_OK, 403, 503)}},
        "/openapi.json": {"get": {"summary": "This document", "responses": _answers({"type": "object"}, 403)}},
        "/metrics": _metrics(settings),
    }
    if settings.live:
        paths |= _live_paths(settings)
    else:
        greeting = {"description": "That this is a gateway", "content": {"text/plain": {"schema": {"type": "string"}}}}
        paths["/"] = {"get": {"summary": "What is here", "responses": _answers(None, 403) | {"200": greeting}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Watchtime gateway", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {
                "Event": event,
                "Batch": {
                    "type": "object",
                    "required": ["events"],
                    "properties": {"events": {"type": "array", "maxItems": MAX_BATCH_EVENTS}},
                },
                "Row": {"anyOf": rows},
                "Refusal": _REFUSAL,
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "viewer": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _metrics(settings: Settings) -> Part:
    text = {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "servers": [{"url": f"http://{settings.metrics_host}:{settings.metrics_port}"}],
        "get": {
            "summary": "What the gateway counts, on a port of its own",
            "responses": _answers(None) | {"200": text},
        },
    }


def _row(table: Table) -> Part:
    """Return the schema of an answered row; one that comes from the files of the lake has no `updated_at`."""
    schema = schemas.row(table)
    return {"type": "object", "required": list(table.columns), "properties": schema["properties"]}


def handler(settings: Settings) -> Handler:
    """Return the handler of GET /openapi.json."""
    body = orjson.dumps(document(settings))

    async def show(_: web.Request) -> web.StreamResponse:
        return JsonAnswer(200, body)

    return show


def _live_paths(settings: Settings) -> dict[str, Part]:
    security: list[Part] = [{"viewer": []}] if settings.auth else []
    # What is left blank counts as left out, but for `download`: forms send all their fields.
    day = _parameter("dt", {"anyOf": [{"type": "string", "format": "date"}, {"const": ""}]})
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    daily: Part = {
        "summary": "Rows of a day: the most watched first, hours by hour",
        "security": security,
        "parameters": [
            day,
            _parameter("table", {"enum": [*(table.kind for table in TABLES), ""], "default": "video"}),
            _parameter("limit", {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_ROWS}, {"const": ""}]}),
            _parameter("q", {"type": "string", "maxLength": 256}),
            _parameter("format", {"enum": ["json", "csv", ""], "default": "json"}),
            _parameter("download", {"type": "string", "description": "if it is there, whatever it says: as a file"}),
        ],
        "responses": _answers(rows, 400, 401, 403, 429, 503),
    }
    daily["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    stream = {"description": "A view of the day, again whenever it changed", "content": {"text/event-stream": {}}}
    page = {"description": "The live page", "content": {"text/html": {"schema": {"type": "string"}}}}
    return {
        "/": {
            "get": {
                "summary": "The live page",
                "security": security,
                "responses": _answers(None, 401, 403, 429) | {"200": page},
            }
        },
        "/api/daily": {"get": daily},
        "/api/days": {
            "get": {
                "summary": "The days there are and their totals",
                "security": security,
                "responses": _answers({"type": "array"}, 401, 403, 429, 503),
            }
        },
        "/live": {
            "get": {
                "summary": "Server-sent events of the live page",
                "security": security,
                "parameters": [day],
                "responses": _answers(None, 400, 401, 403, 429, 503) | {"200": stream},
            }
        },
    }


def _preflight() -> Part:
    """Return what there is to say of a browser's question before a request from another origin."""
    answers = _answers(None, 403)
    del answers["200"]
    return {"summary": "CORS", "responses": {"204": {"description": "Which origins and headers may come"}, **answers}}


def _json_body(schema: Part) -> Part:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _parameter(name: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "schema": schema}


def _answers(schema: Part | None, *refusals: int) -> dict[str, Part]:
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    # An answer to a method, a path or a framing that HTTP itself does not allow has no number of its own here.
    answers: dict[str, Part] = {"default": {"description": "Any other refusal", "content": refusal}}
    answers["200"] = {"description": "OK", "content": {"application/json": {"schema": schema or {}}}}
    answers |= {str(status): {"description": _WHY[status], "content": refusal} for status in refusals}
    if "429" in answers:
        answers["429"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answers
