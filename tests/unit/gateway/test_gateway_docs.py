"""docs/gateway.md lists what there is: every setting with its default, every metric, every reason of a refusal."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from gateway.settings import Settings

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs/gateway.md").read_text()
OTHER_NAMES = {
    "bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
    "group": "WATCHTIME_GROUP",
    "security": "KAFKA_SECURITY_PROTOCOL",
}


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting(field):
    name = OTHER_NAMES.get(field.name, f"GATEWAY_{field.name.upper()}")
    (line,) = [line for line in DOC.splitlines() if re.match(r"\| `[A-Z]+_", line) and f"`{name}`" in line]

    if isinstance(field.default, int | str) and not isinstance(field.default, bool):
        assert str(field.default) in line


def test_every_metric():
    source = (ROOT / "gateway/metrics.py").read_text()

    for kind, name in re.findall(r'(Counter|Gauge|Histogram)\(\s*"(\w+)"', source):
        assert f"`{name}{'_total' if kind == 'Counter' else ''}" in DOC


def test_every_reason_of_a_refusal():
    sources = "".join(path.read_text() for path in (ROOT / "gateway").glob("*.py"))
    reasons = set(re.findall(r'Refusal\(\d+, [^\n]*?"(\w+)"(?:, [^)\n]*)?\)', sources))
    reasons |= set(re.findall(r'(?:count_refusal|refused)\("(\w+)"\)', sources))
    reasons |= {f"rate_{whose}" for whose in re.findall(r'_too_many\(wait_s, "(\w+)"\)', sources)}
    (line,) = [line for line in DOC.splitlines() if "refusals_total" in line]

    assert len(reasons) > 15
    assert reasons <= set(re.findall(r"\w+", line))
