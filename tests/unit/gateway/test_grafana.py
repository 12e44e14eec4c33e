"""The dashboard and the alert rules ask only for metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy/grafana"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())


def known() -> set[str]:
    """The names of all samples of all stages, by their source: two stages in one process would share a name."""
    names = set()
    for stage in ("gateway", "streams", "sinks"):
        source = (ROOT / stage / "metrics.py").read_text()
        for kind, name in re.findall(r'(Counter|Gauge|Histogram)\(\s*"(\w+)"', source):
            endings = {"Counter": ["_total"], "Histogram": ["_bucket", "_count", "_sum"], "Gauge": [""]}[kind]
            names |= {name + ending for ending in endings}
    return names


EXPRESSIONS = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]} | {
    panel["title"]: " ".join(target["expr"] for target in panel["targets"]) for panel in DASHBOARD["panels"]
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_only_metrics_that_exist(name):
    asked = set(re.findall(r"watchtime_\w+", EXPRESSIONS[name]))

    assert asked
    assert asked <= known()


def test_every_rule_says_what_is_wrong():
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in {"warning", "critical"}


def test_panels_have_ids_of_their_own():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(ids) == len(set(ids))


def test_promtool_takes_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine (Debian: prometheus)")
    command = [promtool, "check", "rules", str(FOLDER / "alerts.yml")]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed command
