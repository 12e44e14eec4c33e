"""What the ready-made queries are asked in tests, and how their answers show numbers."""

from __future__ import annotations

from tests.athena.answers import Rounded, share

#: What the queries are asked.
GIVEN = {"from": "2025-12-20", "to": "2026-01-09", "top": "3", "channel": 'O\'Hara "live"', "video": "v'2"}
FIRST, LAST, TOP = GIVEN["from"], GIVEN["to"], int(GIVEN["top"])
#: The events lie in the first days of the sample, before the period that the other queries are asked about.
RAW_GIVEN = {"from": "2025-12-16", "to": "2025-12-18"}


def hours(ms: float) -> Rounded:
    return Rounded(ms / 3_600_000, 2)


def minutes(ms: float) -> Rounded:
    return Rounded(ms / 60_000, 1)


def percent(part: float, whole: float, digits: int = 1) -> Rounded | None:
    found = share(100 * part, whole)
    return None if found is None else Rounded(found, digits)


def given(name: str, parameters: list[str]) -> dict[str, str]:
    """Return what a query is asked in tests."""
    values = {**GIVEN, **(RAW_GIVEN if name in ("event_types", "sessions", "delays") else {})}
    return {parameter: values[parameter] for parameter in parameters}
