"""Whether rows that an engine returned are the rows that were expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tests.athena.answers import Rounded


def assert_same(expected: Sequence[tuple[Any, ...]], found: Sequence[Sequence[Any]], *, ordered: bool) -> None:
    """Fail at the first row that differs; floating point numbers may differ in their last bits."""
    expected, found = list(expected), [tuple(row) for row in found]
    if not ordered:
        expected, found = sorted(expected, key=_order), sorted(found, key=_order)
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        assert _same_row(left, right), f"row {number}:\nexpected {left}\nfound    {right}"
    assert len(expected) == len(found)


def _same_row(left: Sequence[Any], right: Sequence[Any]) -> bool:
    return len(left) == len(right) and all(_same(one, other) for one, other in zip(left, right, strict=True))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Rounded):
        return isinstance(right, float) and abs(left.value - right) <= 0.500001 * 10**-left.digits + 1e-9
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    return type(left) is type(right) and left == right


def _order(row: Sequence[Any]) -> str:
    # Numbers that may differ in their last bits decide nothing about the order.
    return repr([None if isinstance(cell, float) else cell for cell in row])
