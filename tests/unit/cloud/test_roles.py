"""What each role may do, as data: everything its stage needs, and nothing of what it must not."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.acls import rights
from gateway.held_days import TABLES as SHOWN
from streams.contract.rows import TABLES
from streams.contract.topics import (
    ARCHIVE_GROUP,
    EVENTS,
    PARTIALS,
    PARTIALS_GROUP,
    REJECTED,
    SINKS_GROUP,
    STATE,
    TOTALS_GROUP,
    topics,
)
from tests.unit.cloud.account import Stack, whole
from tests.unit.cloud.policies import listed, may, statements

LAKE = "arn:aws:s3:::watchtime-lake-123456789012-eu-west-1"
ALL = {one.name for one in topics(4, 1, client_table=True)}
DAILY = {table.topic for table in TABLES}
GROUPS = {PARTIALS_GROUP, TOTALS_GROUP, SINKS_GROUP, ARCHIVE_GROUP}
ROLES = ("StartRole", "GatewayRole", "StreamsRole", "SinksRole", "OperatorRole")
STAGES = ("GatewayRole", "StreamsRole", "SinksRole")

#: What each role does with topics and groups: action -> names.
WANTED: dict[str, dict[str, set[str]]] = {
    "GatewayRole": {
        "WriteData": {EVENTS, REJECTED},
        "ReadData": {table.topic for table in SHOWN},
        "DescribeGroup": {PARTIALS_GROUP, SINKS_GROUP},
    },
    "StreamsRole": {
        "WriteData": {REJECTED, STATE, PARTIALS} | DAILY,
        "ReadData": {EVENTS, STATE, PARTIALS} | DAILY,
        "CreateTopic": ALL,
        "DescribeTopicDynamicConfiguration": ALL,
        "DescribeGroup": {PARTIALS_GROUP, TOTALS_GROUP},
        "AlterGroup": {PARTIALS_GROUP, TOTALS_GROUP},
    },
    "SinksRole": {
        "ReadData": {EVENTS} | DAILY,
        "DescribeGroup": {SINKS_GROUP, ARCHIVE_GROUP},
        "AlterGroup": {SINKS_GROUP, ARCHIVE_GROUP},
    },
    "OperatorRole": {
        "WriteData": {EVENTS, STATE, PARTIALS, "watch.client_daily"},
        "ReadData": ALL,
        "CreateTopic": ALL,
        "DescribeTopicDynamicConfiguration": ALL,
        "DeleteTopic": {STATE, PARTIALS},
        "DescribeGroup": GROUPS,
        "AlterGroup": {PARTIALS_GROUP},
    },
}
ACTIONS = {"AlterTopic", "AlterTopicDynamicConfiguration", "DeleteGroup"} | {
    action for wanted in WANTED.values() for action in wanted
}


def kafka(kind: str, name: str) -> str:
    return f"arn:aws:kafka:eu-west-1:123456789012:{kind}/watchtime/6f1b-7/{name}"


def role(name: str, **given: str) -> Any:
    return roles(**given).resource(name)


def roles(**given: str) -> Stack:
    return whole(**given).child("Roles")


@pytest.mark.parametrize("name", ROLES)
def test_nothing_is_allowed_in_general(name: str) -> None:
    for way in ({"Access": "IAM"}, {"Access": "SCRAM"}, {"PastDays": "on"}):
        for one in statements(role(name, **way)):
            assert one["Effect"] == "Allow"
            assert "NotAction" not in one
            assert "NotResource" not in one
            for action in listed(one["Action"]):
                assert "*" not in action, action
            for resource in listed(one["Resource"]):
                # One action of ECR knows no resources.
                assert resource != "*" or one["Action"] == ["ecr:GetAuthorizationToken"]
                assert not resource.endswith(":*") or resource.endswith(":log-stream:*"), resource


@pytest.mark.parametrize("name", ROLES)
def test_only_tasks_of_this_account_take_a_role(name: str) -> None:
    (one,) = role(name)["AssumeRolePolicyDocument"]["Statement"]

    assert one["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert one["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("name", WANTED)
def test_topics_and_groups_are_exactly_those_that_it_needs(name: str, action: str) -> None:
    kind = "group" if action.endswith("Group") else "topic"
    names = {f"watchtime-{group}" for group in GROUPS} if kind == "group" else ALL
    wanted = WANTED[name].get(action, set())
    if kind == "group":
        wanted = {f"watchtime-{group}" for group in wanted}

    found = {one for one in names if may(role(name), f"kafka-cluster:{action}", kafka(kind, one))}

    assert found == wanted
    assert not may(role(name), f"kafka-cluster:{action}", kafka(kind, "somebody.else"))
    assert not may(role(name), f"kafka-cluster:{action}", kafka(kind, EVENTS).replace("watchtime/", "other/"))


@pytest.mark.parametrize("stage", ["gateway", "streams", "sinks", "operator"])
def test_a_role_may_what_the_list_of_rights_gives_its_user(stage: str) -> None:
    """`deploy/acls.py` says the same for clusters with users; it is tried out on a broker with these rights."""
    means = {
        ("topic", "Read"): "ReadData",
        ("topic", "Write"): "WriteData",
        ("topic", "Create"): "CreateTopic",
        ("topic", "Delete"): "DeleteTopic",
        ("topic", "DescribeConfigs"): "DescribeTopicDynamicConfiguration",
        ("group", "Read"): "DescribeGroup",
        ("group", "Describe"): "DescribeGroup",
        ("transactional-id", "Write"): "AlterTransactionalId",
    }
    needed = {
        "gateway": ({PARTIALS_GROUP, SINKS_GROUP}, {table.topic for table in SHOWN} | {EVENTS, REJECTED}),
        "operator": (GROUPS, ALL),
    }.get(stage, (GROUPS, ALL))
    for right in rights("watchtime", client_table=True, roles=[stage]):
        kind, name, prefixed = right.resource
        if right.operation == "AlterConfigs":
            continue  # only to change a topic by hand, which its keeper does as somebody else
        everything = {"topic": ALL, "group": {f"watchtime-{one}" for one in GROUPS}}.get(kind, {"watchtime-0"})
        names = {one for one in everything if one.startswith(name)} if prefixed else {name}
        narrower = {f"watchtime-{one}" for one in needed[0]} | needed[1] | {"watchtime-0"}
        for one in names & narrower:
            action = f"kafka-cluster:{means[kind, right.operation]}"
            assert may(role(f"{stage.title()}Role"), action, kafka(kind, one)), (action, one)


@pytest.mark.parametrize("name", WANTED)
def test_who_reads_or_writes_a_topic_may_ask_about_it(name: str) -> None:
    for topic in WANTED[name].get("ReadData", set()) | WANTED[name].get("WriteData", set()):
        assert may(role(name), "kafka-cluster:DescribeTopic", kafka("topic", topic)), topic
    assert may(role(name), "kafka-cluster:Connect", "arn:aws:kafka:eu-west-1:123456789012:cluster/watchtime/6f1b-7")


@pytest.mark.parametrize("name", WANTED)
def test_transactions_are_those_of_the_stack_and_of_who_folds(name: str) -> None:
    folds = name in {"StreamsRole", "OperatorRole"}
    for action in ("AlterTransactionalId", "DescribeTransactionalId"):
        for one in ("watchtime-0", "watchtime-63", "watchtime-totals-7"):
            assert may(role(name), f"kafka-cluster:{action}", kafka("transactional-id", one)) == folds
        assert not may(role(name), f"kafka-cluster:{action}", kafka("transactional-id", "other-0"))


def test_files_are_read_and_written_and_never_deleted() -> None:
    day, raw = f"{LAKE}/analytics/video_daily/dt=2026-11-01/data.parquet", f"{LAKE}/raw/2026/11/01/x.ndjson.gz"
    for name, keys in (
        ("SinksRole", {day, raw, f"{LAKE}/analytics/_layout.json"}),
        ("OperatorRole", {day, raw, f"{LAKE}/results/daily/2026/11/01/partials/0.json"}),
    ):
        for key in keys:
            assert may(role(name), "s3:GetObject", key)
            assert may(role(name), "s3:PutObject", key)
        assert may(role(name), "s3:ListBucket", LAKE)
        assert not may(role(name), "s3:PutObject", f"{LAKE}/athena-results/x")
        assert not may(role(name), "s3:PutObject", "arn:aws:s3:::another/raw/x")
    for name in ROLES:
        for action in ("DeleteObject", "DeleteObjectVersion", "DeleteBucket", "PutBucketPolicy", "PutObjectAcl"):
            assert not may(role(name), f"s3:{action}", day)
            assert not may(role(name), f"s3:{action}", LAKE)


def test_gateway_and_streams_have_no_s3() -> None:
    for name in ("GatewayRole", "StreamsRole"):
        assert [one for one in statements(role(name)) if any("s3:" in action for action in listed(one["Action"]))] == []


def test_a_gateway_reads_daily_files_only_where_it_shows_them_and_never_raw_events() -> None:
    gateway = role("GatewayRole", PastDays="on")

    assert may(gateway, "s3:GetObject", f"{LAKE}/analytics/video_daily/dt=2026-11-01/data.parquet")
    assert not may(gateway, "s3:PutObject", f"{LAKE}/analytics/video_daily/dt=2026-11-01/data.parquet")
    assert not may(gateway, "s3:GetObject", f"{LAKE}/raw/2026/11/01/x.ndjson.gz")


def test_without_the_live_page_a_gateway_reads_nothing_at_all() -> None:
    gateway = role("GatewayRole", LivePage="off")

    for topic in ALL:
        assert not may(gateway, "kafka-cluster:ReadData", kafka("topic", topic))
    assert may(gateway, "kafka-cluster:WriteData", kafka("topic", EVENTS))


def test_with_scram_no_role_speaks_of_kafka_and_passwords_are_handed_over_at_the_start() -> None:
    found = roles(Access="SCRAM")
    for name in ROLES:
        actions = [action for one in statements(found.resource(name)) for action in listed(one["Action"])]
        assert [action for action in actions if action.startswith("kafka")] == []
    for stage in ("Gateway", "Streams", "Sinks", "Operator"):
        assert may(found.resource("StartRole"), "secretsmanager:GetSecretValue", f"<{stage}Secret>")
    for name in STAGES:
        assert not may(found.resource(name), "secretsmanager:GetSecretValue", "<StreamsSecret>")
    assert not may(role("StartRole"), "secretsmanager:GetSecretValue", "<GatewayFiles>")


@pytest.mark.parametrize("name", ROLES)
def test_the_key_is_used_through_its_service_only(name: str) -> None:
    for one in statements(role(name, Access="SCRAM", PastDays="on")):
        if any(action.startswith("kms:") for action in listed(one["Action"])):
            assert set(listed(one["Action"])) <= {"kms:Decrypt", "kms:GenerateDataKey"}
            assert list(one["Condition"]["StringEquals"]) == ["kms:ViaService"]


def test_each_task_has_the_role_of_its_stage() -> None:
    stages = whole().child("Stages")
    for stage in ("Gateway", "Streams", "Sinks", "Operator"):
        task = stages.resource(f"{stage}Task")
        assert task["TaskRoleArn"] == f"<{stage}Role.Arn>"
        assert task["ExecutionRoleArn"] == "<StartRole.Arn>"
