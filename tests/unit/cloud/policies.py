"""What a role may do, read from its policies as IAM reads them."""

from __future__ import annotations

import re
from typing import Any


def statements(role: Any) -> list[dict[str, Any]]:
    """Return the statements of a role's policies."""
    return [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def may(role: Any, action: str, resource: str) -> bool:
    """Whether a role may do something; conditions are taken to hold, so this errs towards yes."""
    found = [one for one in statements(role) if _covers(one["Action"], action) and _covers(one["Resource"], resource)]
    return bool(found) and all(one["Effect"] == "Allow" for one in found)


def _covers(patterns: Any, text: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) for pattern in listed(patterns)
    )
