"""The rest of the stack: lint, the bucket's rules, the broker, scaling and alarms."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber
from cfnlint.api import lint_file

from athena.target import Target, workgroup_configuration
from deploy.acls import rights
from sinks import patience
from streams.contract.rows import TABLES
from streams.contract.topics import EVENTS, PARTIALS, PARTIALS_GROUP, SINKS_GROUP, TOTALS_GROUP
from tests.unit.cloud.account import FOLDER, TEMPLATES, template, whole

DEPLOY = FOLDER.parent
RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
ON_STANDARD_BROKERS = {"OfflinePartitionsCount", "KafkaDataLogsDiskUsed", "UnderReplicatedPartitions"}


# The dashboard's template is linted beside its own tests.
@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "quicksight.yaml"])
def test_templates_are_lint_clean(name: str) -> None:
    assert [str(match) for match in lint_file(FOLDER / name)] == []


def test_the_bucket_is_private_encrypted_and_reached_over_tls() -> None:
    lake = whole().child("Lake")
    bucket = lake.resource("Bucket")
    denied = {one["Sid"]: one for one in lake.resource("BucketRules")["PolicyDocument"]["Statement"]}

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert encryption["BucketKeyEnabled"] is True
    # An erased person must not live on in old versions.
    assert "VersioningConfiguration" not in bucket
    assert {one["Effect"] for one in denied.values()} == {"Deny"}
    assert denied["OnlyOverTls"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(denied["OnlyOverTls"]["Resource"]) == 2
    # A key that is absent would make StringNotEquals true: writes that say nothing would be refused.
    for name in ("NoOtherEncryption", "NoOtherKey"):
        conditions = denied[name]["Condition"]
        assert set(conditions["Null"]) == set(conditions["StringNotEquals"])
        assert set(conditions["Null"].values()) == {"false"}


def test_what_cannot_be_made_anew_is_kept() -> None:
    kept = {
        (name, logical)
        for name in TEMPLATES
        for logical, one in template(name)["Resources"].items()
        # A first try that fails must leave nothing behind: the next one needs the names.
        if (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) == ("RetainExceptOnCreate", "Retain")
    }

    assert kept == {
        ("broker.yaml", "Cluster"),
        ("edge.yaml", "GatewayFiles"),
        ("image.yaml", "Repository"),
        ("lake.yaml", "Bucket"),
        ("lake.yaml", "Key"),
    }


def test_raw_objects_grow_cold_only_when_no_reconciliation_reads_them_any_more() -> None:
    rules = {one["Id"]: one for one in whole().child("Lake").resource("Bucket")["LifecycleConfiguration"]["Rules"]}
    (cold,) = rules["raw-grows-cold"]["Transitions"]

    assert rules["raw-grows-cold"]["Prefix"] == "raw/"
    assert "ExpirationInDays" not in rules["raw-grows-cold"]
    assert int(cold["TransitionInDays"]) > 24
    assert rules["results-go"]["Prefix"] == "athena-results/"


def test_athena_apply_finds_the_workgroup_and_database_as_it_would_make_them() -> None:
    stack = whole(Database="films", WorkGroup="films", ScanLimitBytes="50000000000")
    lake = stack.child("Lake")
    words = str(stack.output("AthenaCommand")).split()
    told = dict(zip(words[3::2], words[4::2], strict=True))
    target = Target(
        lake=told["--lake"],
        database=told["--database"],
        workgroup=told["--workgroup"],
        results_key=told["--results-key"],
        first_day="2026-11-01",
        scan_limit=50_000_000_000,
    )
    made = lake.resource("AthenaWorkGroup")
    configuration = {**made["WorkGroupConfiguration"]}
    configuration["BytesScannedCutoffPerQuery"] = int(configuration["BytesScannedCutoffPerQuery"])

    assert words[:3] == ["watchtime", "athena", "apply"]
    assert made["Name"] == target.workgroup
    assert configuration == workgroup_configuration(target)
    assert lake.resource("GlueDatabase")["DatabaseInput"]["Name"] == target.database
    assert int(template("watchtime.yaml")["Parameters"]["ScanLimitBytes"]["Default"]) == Target.scan_limit


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
@pytest.mark.parametrize("access", ["IAM", "SCRAM"])
def test_the_broker_lets_nobody_in_without_tls_and_a_name(access: str, kind: str) -> None:
    broker = whole(Access=access, BrokerKind=kind).child("Broker")
    cluster = broker.resource("Cluster")

    assert cluster["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}
    assert cluster["ClientAuthentication"]["Unauthenticated"] == {"Enabled": False}
    assert cluster["ClientAuthentication"]["Sasl"]["Iam"]["Enabled"] is (access == "IAM")
    assert cluster["ClientAuthentication"]["Sasl"]["Scram"]["Enabled"] is (access == "SCRAM")
    assert ("StorageInfo" in cluster["BrokerNodeGroupInfo"]) == (kind == "STANDARD")
    assert ("ConfigurationInfo" in cluster) == (kind == "STANDARD")
    secrets = broker.of_type("AWS::SecretsManager::Secret").values()
    assert len(secrets) == (4 if access == "SCRAM" else 0)
    users = {json.loads(one["GenerateSecretString"]["SecretStringTemplate"])["username"] for one in secrets}
    assert users <= {right.user for right in rights("watchtime", client_table=True)}
    assert len(users) == len(secrets)
    for one in secrets:
        assert one["Name"].startswith("AmazonMSK_")
        assert one["KmsKeyId"] == "arn:aws:kms:eu-west-1:123456789012:key/1a2b"


@pytest.mark.parametrize(
    ("request_type", "known"), [("Create", True), ("Update", True), ("Delete", True), ("Create", False)]
)
def test_the_function_tells_the_addresses_and_answers_whatever_happens(
    request_type: str, *, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = whole().child("Broker").resource("AddressesFunction")["Code"]["ZipFile"]
    answers: list[tuple[Any, ...]] = []
    module = ModuleType("cfnresponse")
    module.__dict__.update(SUCCESS="SUCCESS", FAILED="FAILED")
    module.__dict__["send"] = lambda *told, reason: answers.append((*told[2:], reason))
    kafka = boto3.Session(region_name="eu-west-1").client("kafka", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106 - made up
    monkeypatch.setitem(sys.modules, "cfnresponse", module)
    monkeypatch.setattr(boto3, "client", {"kafka": kafka}.get)
    namespace: dict[str, Any] = {}
    exec(compile(code, "index.py", "exec"), namespace)  # noqa: S102 - the code of the template is what is tested
    asked = {"ClusterArn": "arn:1", "Listener": "BootstrapBrokerStringSaslIam"}
    told = {"BootstrapBrokerStringSaslIam": "b-1:9098"} if known else {}
    with Stubber(kafka) as stubber:
        if request_type != "Delete":
            stubber.add_response("get_bootstrap_brokers", told, {"ClusterArn": "arn:1"})
        namespace["handler"]({"RequestType": request_type, "ResourceProperties": asked}, SimpleNamespace())

    ((status, data, physical, reason),) = answers
    assert status == ("SUCCESS" if known else "FAILED")
    assert data == ({"Servers": "b-1:9098"} if known and request_type != "Delete" else {})
    assert physical == "addresses"
    assert known or "BootstrapBrokerStringSaslIam" in reason


def test_streams_scale_on_the_lag_of_each_worker_and_on_cpu() -> None:
    scaling = whole().child("Scaling")
    policies = scaling.of_type("AWS::ApplicationAutoScaling::ScalingPolicy")
    lag = policies["StreamsByLag"]["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    metric = {one["Id"]: one for one in lag["Metrics"]}
    targets = scaling.of_type("AWS::ApplicationAutoScaling::ScalableTarget")

    assert metric["each"]["Expression"] == "lag / workers"
    assert metric["lag"]["MetricStat"]["Metric"]["MetricName"] == "SumOffsetLag"
    assert dimensions(metric["lag"]["MetricStat"]["Metric"]) == {
        "Cluster Name": "watchtime",
        "Consumer Group": f"watchtime-{PARTIALS_GROUP}",
        "Topic": EVENTS,
    }
    assert [one["ReturnData"] for one in lag["Metrics"]] == [False, False, True]
    assert {one["ResourceId"] for one in targets.values()} == {
        f"service/watchtime/{stage}" for stage in ("gateway", "streams", "sinks")
    }
    assert {"GatewayByCpu", "StreamsByCpu", "SinksByCpu", "GatewayByPosts", "SinksByAge"} < set(policies)


def dimensions(metric: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in metric["Dimensions"]}


def alarms(**given: str) -> dict[str, dict[str, Any]]:
    stack = whole(**given)
    children = [stack.child(name) for name in ("Alarms", "Night")]
    found = [one for child in children for one in child.of_type("AWS::CloudWatch::Alarm").values()]
    return {one["AlarmName"].removeprefix("watchtime-"): one for one in found}


def test_each_alarm_tells_somebody_and_has_its_section() -> None:
    runbook, manual = (DEPLOY / "RUNBOOK.md").read_text(), (DEPLOY / "AWS.md").read_text()
    for name, one in alarms().items():
        assert one["AlarmActions"] == ["<Topic>"]
        # One alarm is about what is missing, and rings only when there was something before.
        assert one["TreatMissingData"] in {"breaching", "notBreaching"} or one["InsufficientDataActions"] == ["<Topic>"]
        section = name.split("-")[0]
        where = runbook if not section.startswith("Broker") else manual
        assert section in where, name
        severities = [rule["labels"]["severity"] for rule in RULES if rule["alert"] == section] or ["critical"]
        assert one["AlarmDescription"].startswith(f"{severities[0]}: "), name
        assert f"see {section} in" in one["AlarmDescription"] or section.startswith("Broker")


def test_each_alarm_of_the_runbook_is_in_cloudwatch_or_said_to_need_prometheus() -> None:
    manual = (DEPLOY / "AWS.md").read_text()
    table = dict(re.findall(r"^\| ([A-Z]\w+) \| (CloudWatch|Prometheus|[^|]*) \|", manual, flags=re.MULTILINE))
    in_cloudwatch = {name.split("-")[0] for name in alarms()}

    for rule in RULES:
        assert table[rule["alert"]] == ("CloudWatch" if rule["alert"] in in_cloudwatch else "Prometheus")


def test_lag_alarms_ask_for_groups_that_there_are() -> None:
    found = alarms()

    for group, topic in ((PARTIALS_GROUP, EVENTS), (TOTALS_GROUP, PARTIALS)):
        assert dimensions(found[f"FoldFallsBehind-{group}"])["Consumer Group"] == f"watchtime-{group}"
        assert dimensions(found[f"FoldFallsBehind-{group}"])["Topic"] == topic
        assert found[f"FoldFallsBehind-{group}"]["Threshold"] == 10_000
    metrics = [one["MetricStat"]["Metric"] for one in found["FilesLate"]["Metrics"] if "MetricStat" in one]
    (rule,) = [one for one in RULES if one["alert"] == "FilesLate"]
    assert rule["expr"].endswith(f"> {found['FilesLate']['Threshold']}")
    daily = {dimensions(one)["Topic"] for one in metrics if dimensions(one)["Consumer Group"].endswith(SINKS_GROUP)}
    assert daily == {table.topic for table in TABLES if table.name != "client_daily"}


def test_a_filter_of_the_log_looks_for_a_line_that_is_written() -> None:
    pattern = whole().child("Alarms").resource("LakeErrors")["FilterPattern"]
    words = re.search(r'"(.+)"', pattern)

    assert words is not None
    assert f'log.warning("{words[1]}"' in Path(patience.__file__).read_text()


def test_express_brokers_are_not_watched_by_metrics_that_they_lack() -> None:
    names = {one.get("MetricName") for one in alarms(BrokerKind="EXPRESS", BrokerType="express.m7g.large").values()}

    assert not names & ON_STANDARD_BROKERS
    assert ON_STANDARD_BROKERS & {one.get("MetricName") for one in alarms().values()}


def test_a_budget_is_made_when_somebody_can_be_told() -> None:
    def budgets(**given: str) -> Any:
        return whole(**given).child("Alarms").of_type("AWS::Budgets::Budget")

    assert budgets() == {}
    assert budgets(BudgetDollars="500") == {}
    (budget,) = budgets(BudgetDollars="500", Email="a@example.org").values()
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "500", "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:watchtime$watchtime"]}


def test_the_lifecycle_of_images_is_json() -> None:
    text = template("image.yaml")["Resources"]["Repository"]["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"]

    assert json.loads(text)["rules"][0]["action"] == {"type": "expire"}
