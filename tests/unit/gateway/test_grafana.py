"""The dashboard and the alert rules ask only for metrics that exist, and each rule fires when it should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local.cache import Cache
from tests.servers import unavailable

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy/alerts.yml"
RULES = yaml.safe_load(ALERTS.read_text())
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
#: For each rule a series that fires it within an hour, as promtool writes one sample a minute.
FIRING = {
    "StageNotReady": ('watchtime_ready{stage="sinks"}', "0x60"),
    "FoldFallsBehind": ('watchtime_streams_lag_records{partition="1"}', "10001x60"),
    "FilesLate": ('watchtime_sinks_dirty_seconds{topic="t"}', "200+10x60"),
    "SinksFallBehind": ('watchtime_sinks_lag_records{topic="t"}', "20000x60"),
    "LakeDoesNotAnswer": ("watchtime_sinks_store_errors_total", "0+3x60"),
    "GatewayTurnsClientsAway": ('watchtime_gateway_answers_total{status="503"}', "0+1x60"),
    "TokensRefused": ('watchtime_gateway_refusals_total{reason="token"}', "0+70x60"),
    "GatewayFlooded": ('watchtime_gateway_refusals_total{reason="rate_address"}', "0+700x60"),
    "UnreadableLines": ("watchtime_streams_invalid_lines_total", "0x50 1x9"),
    "UnreadableRows": ('watchtime_sinks_unreadable_rows_total{table="t"}', "0x50 1x9"),
    "EventsRejected": ('watchtime_gateway_rejected_events_total{reason="invalid tab_id"}', "0+2x60"),
    "SequenceNumbersGivenUp": ("watchtime_streams_sequence_numbers_given_up_total", "0x50 1x9"),
    "RowsDrift": ('watchtime_drift_rows{dt="2026-11-23"}', "1x60"),
    "NightNotTold": ("watchtime_reconcile_exit_code", "2x300"),
    "NightMissing": ("watchtime_reconcile_last_run_timestamp_seconds", "1x2300"),
}
#: Series of a stack that is well.
QUIET = {
    'watchtime_ready{stage="gateway"}': "1x2300",
    'watchtime_ready{stage="streams"}': "1x2300",
    'watchtime_ready{stage="sinks"}': "1x2300",
    'watchtime_streams_lag_records{partition="1"}': "500x2300",
    'watchtime_sinks_dirty_seconds{topic="t"}': "10x2300",
    'watchtime_sinks_lag_records{topic="t"}': "500x2300",
    "watchtime_sinks_store_errors_total": "3x2300",
    'watchtime_gateway_answers_total{status="503"}': "3x2300",
    'watchtime_gateway_answers_total{status="200"}': "0+900x2300",
    'watchtime_gateway_refusals_total{reason="token"}': "0+1x2300",
    "watchtime_streams_invalid_lines_total": "1x2300",
    'watchtime_sinks_unreadable_rows_total{table="t"}': "1x2300",
    'watchtime_gateway_rejected_events_total{reason="invalid tab_id"}': "0+1x2300",
    "watchtime_streams_sequence_numbers_given_up_total": "0x2300",
    'watchtime_drift_rows{dt="2026-11-23"}': "0x2300",
    "watchtime_reconcile_exit_code": "0x2300",
    "watchtime_reconcile_last_run_timestamp_seconds": "0x2300",
}


def known() -> set[str]:
    """The names of all samples of all stages, by their source: two stages in one process would share a name."""
    names = set()
    for stage in ("gateway", "streams", "sinks", "deploy/local"):
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


@pytest.fixture(name="promtool", scope="module")
def _promtool() -> str:
    here = Cache.from_env(os.environ).folder / "bin/promtool"
    found = shutil.which("promtool") or (str(here) if here.exists() else None)
    if found is None:
        unavailable("promtool is not on this machine (Debian: prometheus)")
    return str(found)


def test_each_rule_has_a_series_that_fires_it():
    assert list(FIRING) == [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]


def test_promtool_takes_the_rules(promtool):
    subprocess.run([promtool, "check", "rules", str(ALERTS)], check=True, capture_output=True)  # noqa: S603 - fixed


def test_each_rule_fires_when_it_should_and_none_when_all_is_well(promtool, tmp_path):
    cases = []
    ready = [{"series": series, "values": "1x2300"} for series in QUIET if series.startswith("watchtime_ready")]
    for name, (series, values) in FIRING.items():
        minutes = {"NightNotTold": 299, "NightMissing": 2_299}.get(name, 59)
        asked = [{"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > 0', "eval_time": f"{minutes}m"}]
        asked[0]["exp_samples"] = [{"labels": "{}", "value": 1}]
        cases.append(
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values},
                    *(one for one in ready if one["series"] != series),
                ],
                "promql_expr_test": asked,
            }
        )
    quiet = [{"series": series, "values": values} for series, values in QUIET.items()]
    for stage in ("gateway", "streams", "sinks"):
        missed = f'ALERTS{{alertname="StageNotReady",stage="{stage}",alertstate="firing"}}'
        others = [one for one in quiet if one["series"] != f'watchtime_ready{{stage="{stage}"}}']
        asked = [{"expr": f"count({missed})", "eval_time": "59m", "exp_samples": [{"labels": "{}", "value": 1}]}]
        cases.append({"interval": "1m", "input_series": others, "promql_expr_test": asked})
    nothing = {"expr": 'ALERTS{alertstate="firing"}', "eval_time": "2299m", "exp_samples": []}
    cases.append({"interval": "1m", "input_series": quiet, "promql_expr_test": [nothing]})
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases}))

    done = subprocess.run(  # noqa: S603 - fixed
        [promtool, "test", "rules", str(file)], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
