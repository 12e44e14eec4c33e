"""From the bytes of a request's body to events, and from an event to compact bytes. Pure.

JSON is taken as RFC 8259 has it: no NaN, no lone surrogates, valid UTF-8, no byte order mark, nothing beyond a
double. Of duplicate keys the last wins. Whole numbers of any size keep their value.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

import orjson

from streams.contract.event import MAX_NESTING

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS: Final = b"[]{}"
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
#: Maps digits to 0 and all else to a blank, so that long whole numbers show as runs of zeros.
_DIGITS: Final = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))  # noqa: PLR2004 - "0" to "9"
#: What stands before the list of a batch that is written compactly.
_BEFORE: Final = b'{"events":'
#: The shortest whole number that the fast parser may read as a float (below -2**63) has 19 digits.
_LONG_NUMBER: Final = b"0" * 19


class InvalidJsonError(ValueError):
    """The body is not JSON, or nests deeper than allowed."""


class Batch(NamedTuple):
    """The events of a body."""

    events: list[Any]
    #: All of them as one compact JSON list; None where a number is too long for the fast writer.
    text: bytes | None


def read_batch(body: bytes) -> Batch:
    """Return the events of a body: those of a batch, else the one value it holds; InvalidJsonError otherwise."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJsonError(str(error)) from error
    events = document["events"] if _is_batch(document) else [document]
    _refuse_deep(body, events)
    text = orjson.dumps(events)
    # What is written again as it came has lost nothing; else it is seen whether a number has.
    if text != body[len(_BEFORE) : -1] and text[1:-1] != body and _LONG_NUMBER in body.translate(_DIGITS):
        document = json.loads(body.decode())  # slower, but 2**64 stays 2**64; what is no JSON is out already
        return Batch(document["events"] if _is_batch(document) else [document], None)
    return Batch(events, text)


def compact(value: object) -> bytes:
    """Return a parsed value as compact UTF-8 JSON, in which no byte is a line feed."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # a whole number beyond 64 bit
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _is_batch(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("events"), list)


def _refuse_deep(body: bytes, events: list[Any]) -> None:
    """Raise InvalidJsonError if the text nests deeper than MAX_NESTING.

    A chain that deep needs 65 opening brackets, of which it shares at most one with the events that are objects;
    so with fewer than 64 + objects of them, counting settles it. Only then are the brackets walked.
    """
    opened = body.count(b"{") + body.count(b"[")
    if opened <= MAX_NESTING or opened < MAX_NESTING + sum(type(event) is dict for event in events):
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_NESTING:
            raise InvalidJsonError(f"nested deeper than {MAX_NESTING}")
