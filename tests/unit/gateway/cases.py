"""Reads tests/cases/*.json."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "cases"
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text())
BODIES = json.loads((FOLDER / "bodies.json").read_text())


def event_of(case: dict[str, Any]) -> Any:
    """Return the event of a case in verdicts.json."""
    if "event" in case:
        return case["event"]
    event = {**VERDICTS["base"][case["type"]], **case.get("set", {})}
    event |= {name: text * times for name, (text, times) in case.get("repeat", {}).items()}
    for name in case.get("unset", []):
        del event[name]
    if "pad" in case:
        event["padding"] = ""
        size = len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
        event["padding"] = "x" * (case["pad"] - size)
    return event


def body_of(case: dict[str, Any]) -> bytes:
    """Return the body of a case in bodies.json."""
    if "base64" in case:
        return base64.b64decode(case["base64"], validate=True)
    text = "".join(part * times for part, times in case.get("repeat", [[case.get("text"), 1]]))
    valid = BODIES["valid_event"]
    return text.replace("$V", valid).replace("$E", valid[:-1]).encode()


def named(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments of `parametrize` for cases."""
    return {"argvalues": cases, "ids": [case["name"] for case in cases]}
