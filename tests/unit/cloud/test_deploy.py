"""`watchtime deploy` against botocore's stubs, which check every request."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import ANY

from deploy.deploy_command import add_arguments, deploy
from deploy.errors import DeployError
from deploy.stack_package import package, parameters
from tests.unit.cloud.account import NEEDED
from tests.unit.cloud.stubbed_aws import BEFORE, Aws, change, stack, standing

NEW = [f"--set={name}={value}" for name, value in NEEDED.items()]
SET = {"StackName": "watchtime", "ChangeSetName": "watchtime-deploy"}


@pytest.fixture(name="aws")
def _aws() -> Iterator[Aws]:
    aws = Aws()
    yield aws
    aws.is_done()


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--bucket", "templates", *words])


def call(aws: Aws, *words: str) -> None:
    deploy(arguments(*words), aws, aws.stacks, SET["ChangeSetName"])  # type: ignore[arg-type]  # only what is used of a session


def uploads(aws: Aws) -> None:
    for key, text in package("stack", "templates", "eu-west-1").objects.items():
        aws.answers(
            "put_object",
            {},
            {"Bucket": "templates", "Key": key, "Body": text.encode(), "ContentType": "application/yaml"},
        )


def plan(aws: Aws, *, request: Any = ANY) -> None:
    """Let a change set be made: not ready at the first look, with a nested stack and a second page."""
    expected = dict.fromkeys(("TemplateURL", "Capabilities", "IncludeNestedStacks", "Tags", "ChangeSetType"), ANY)
    aws.answers("create_change_set", {"Id": "set-1"}, {**SET, **expected, "Parameters": request})
    aws.answers("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}, {"ChangeSetName": "set-1"})
    lake = change("Add", "Lake", "AWS::CloudFormation::Stack", ChangeSetId="set-2")
    aws.answers(
        "describe_change_set",
        {"Status": "CREATE_COMPLETE", "ChangeSetId": "set-1", "Changes": [lake], "NextToken": "more"},
    )
    bucket = change("Modify", "Bucket", "AWS::S3::Bucket", Replacement="True")
    aws.answers("describe_change_set", {"ChangeSetId": "set-2", "Changes": [bucket]}, {"ChangeSetName": "set-2"})
    edge = change("Remove", "Edge", "AWS::CloudFormation::Stack")
    aws.answers(
        "describe_change_set",
        {"ChangeSetId": "set-1", "Changes": [edge]},
        {"ChangeSetName": "set-1", "NextToken": "more"},
    )


def test_no_template_is_too_large_for_cloudformation() -> None:
    for target in ("stack", "image", "quicksight"):
        for key, text in package(target, "templates", "eu-west-1").objects.items():
            assert len(text.encode()) < 1_000_000, key


def test_a_dry_run_prints_all_and_asks_aws_for_nothing(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    call(aws, *NEW, "--dry-run")

    out = capsys.readouterr().out
    request = json.loads(out[out.index("{") :])
    assert out.count("s3://templates/watchtime/") == 10
    assert request["TemplateURL"] == package("stack", "templates", "eu-west-1").url
    assert request["ChangeSetType"] == "CREATE"
    assert request["Capabilities"] == ["CAPABILITY_IAM"]
    assert request["Tags"] == [{"Key": "watchtime", "Value": "watchtime"}]
    assert {"ParameterKey": "Domain", "ParameterValue": "watch.example.org"} in request["Parameters"]


def test_a_plan_of_a_new_stack_is_shown_and_leaves_nothing_behind(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.refuses("describe_stacks", "Stack with id watchtime does not exist")
    uploads(aws)
    wanted = dict.fromkeys(("TemplateURL", "Capabilities", "Tags", "Parameters"), ANY)
    aws.answers(
        "create_change_set",
        {"Id": "set-1"},
        {**SET, **wanted, "IncludeNestedStacks": False, "ChangeSetType": "CREATE"},
    )
    lake = change("Add", "Lake", "AWS::CloudFormation::Stack")
    aws.answers("describe_change_set", {"Status": "CREATE_COMPLETE", "ChangeSetId": "set-1", "Changes": [lake]})
    aws.answers("delete_change_set", {}, SET)
    aws.answers("delete_stack", {}, {"StackName": "watchtime"})

    call(aws, *NEW)

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    inside = package("stack", "templates", "eu-west-1").nested
    assert lines[0] == ["Add", "Lake", "AWS::CloudFormation::Stack"]
    assert ["Add", "Lake/Bucket", "AWS::S3::Bucket"] in lines
    assert lines[-2] == ["watchtime:", str(1 + sum(map(len, inside.values()))), "add"]
    assert lines[-1] == ["not", "applied:", "run", "it", "again", "with", "--yes"]


def test_a_plan_of_a_change_looks_into_nested_stacks(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers("describe_stacks", standing())
    uploads(aws)
    plan(aws)
    aws.answers("delete_change_set", {}, SET)

    call(aws)

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Add", "Lake", "AWS::CloudFormation::Stack"],
        ["Modify", "Lake/Bucket", "AWS::S3::Bucket", "REPLACED"],
        ["Remove", "Edge", "AWS::CloudFormation::Stack"],
        ["watchtime:", "1", "add,", "1", "modify,", "1", "remove"],
        ["not", "applied:", "run", "it", "again", "with", "--yes"],
    ]
    assert aws.waits == [5.0]


def test_where_cloudformation_cannot_look_into_nested_stacks_the_plan_says_so(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.answers("describe_stacks", standing())
    uploads(aws)
    flat = {**SET, "ChangeSetName": f"{SET['ChangeSetName']}-flat"}
    wanted = dict.fromkeys(("TemplateURL", "Capabilities", "Tags", "Parameters", "ChangeSetType"), ANY)
    aws.answers("create_change_set", {"Id": "set-1"}, {**SET, **wanted, "IncludeNestedStacks": True})
    aws.answers("describe_change_set", {"Status": "FAILED", "StatusReason": "Usage of Fn::GetAtt is not allowed"})
    aws.answers("delete_change_set", {}, SET)
    aws.answers("create_change_set", {"Id": "set-2"}, {**flat, **wanted, "IncludeNestedStacks": False})
    lake = change("Modify", "Lake", "AWS::CloudFormation::Stack")
    aws.answers("describe_change_set", {"Status": "CREATE_COMPLETE", "ChangeSetId": "set-2", "Changes": [lake]})
    aws.answers("delete_change_set", {}, flat)

    call(aws)

    out = capsys.readouterr().out
    assert "did not look into the nested stacks: Usage of Fn::GetAtt is not allowed" in out


def test_a_stack_that_was_only_planned_counts_as_new(aws: Aws) -> None:
    aws.answers("describe_stacks", stack("REVIEW_IN_PROGRESS"))

    assert aws.stacks.found("watchtime") is None


def test_yes_applies_the_plan_and_prints_what_came_of_it(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.answers("describe_stacks", standing())
    uploads(aws)
    kept = [name for name in BEFORE if name != "GoneMeanwhile"]
    wanted = parameters(
        package("stack", "templates", "eu-west-1").parameters, {"StreamsMax": "16"}, dict.fromkeys(kept, "64")
    )
    plan(aws, request=wanted)
    aws.answers("execute_change_set", {}, SET)
    for status in (
        "UPDATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_COMPLETE",
    ):
        aws.answers("describe_stacks", stack(status), {"StackName": "watchtime"})
    outputs = [{"OutputKey": "Address", "OutputValue": "https://watch.example.org"}]
    aws.answers("describe_stacks", stack("UPDATE_COMPLETE", Outputs=outputs))

    call(aws, "--set=StreamsMax=16", "--yes")

    assert {"ParameterKey": "StreamsMax", "ParameterValue": "16"} in wanted
    assert {"ParameterKey": "Partitions", "UsePreviousValue": True} in wanted
    assert {one["ParameterKey"] for one in wanted} == set(kept)
    assert capsys.readouterr().out.splitlines()[4:] == [
        "watchtime: UPDATE_IN_PROGRESS",
        "watchtime: UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "watchtime: UPDATE_COMPLETE",
        "Address          https://watch.example.org",
    ]


def test_a_failure_tells_its_reasons(aws: Aws) -> None:
    aws.answers("execute_change_set", {}, SET)
    aws.answers("describe_stacks", stack("CREATE_IN_PROGRESS"))
    aws.answers("describe_stacks", stack("ROLLBACK_COMPLETE"))
    event = {"StackId": "1", "EventId": "1", "StackName": "watchtime", "Timestamp": "2026-11-01T00:00:00Z"}
    failed = {
        **event,
        "LogicalResourceId": "Edge",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "no cert",
    }
    aws.answers("describe_stack_events", {"StackEvents": [{**event, "ResourceStatus": "DELETE_COMPLETE"}, failed]})

    with pytest.raises(DeployError, match=r"ended in ROLLBACK_COMPLETE:\n  Edge: no cert"):
        list(aws.stacks.apply("watchtime", "watchtime-deploy"))


@pytest.mark.parametrize(
    "reason", ["The submitted information didn't contain changes.", "No updates are to be performed."]
)
def test_nothing_to_change_is_no_failure(aws: Aws, capsys: pytest.CaptureFixture[str], reason: str) -> None:
    aws.answers("describe_stacks", standing())
    uploads(aws)
    aws.answers("create_change_set", {"Id": "set-1"})
    aws.answers("describe_change_set", {"Status": "FAILED", "StatusReason": reason})
    aws.answers("delete_change_set", {}, SET)

    call(aws, "--yes")

    assert capsys.readouterr().out == "watchtime: nothing to change\n"


def test_a_stack_whose_first_try_failed_has_to_be_deleted(aws: Aws) -> None:
    aws.answers("describe_stacks", stack("ROLLBACK_COMPLETE", Parameters=[]))

    with pytest.raises(DeployError, match="delete-stack --stack-name watchtime"):
        call(aws, *NEW, "--yes")


def test_a_change_set_that_cannot_be_made_says_why(aws: Aws) -> None:
    aws.answers("create_change_set", {"Id": "set-1"})
    aws.answers("describe_change_set", {"Status": "FAILED", "StatusReason": "Template error"})

    with pytest.raises(DeployError, match="Template error"):
        aws.stacks.prepare({**SET, "TemplateURL": "https://x", "IncludeNestedStacks": False})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no value yet:\n  --set Domain=…  Name under which"),
        ([*NEW, "--set=Domian=x"], "no parameter Domian; did you mean Domain"),
        ([*NEW, "--set", "Domain"], "write KEY=VALUE"),
        ([*NEW, "--set=StreamsMax=65"], "StreamsMax=65 is more than Partitions=64"),
        (
            [*NEW, "--set=SinksMax=9", "--set=Partitions=8", "--set=StreamsMax=8"],
            "SinksMax=9 is more than Partitions=8",
        ),
        ([*NEW, "--set=GatewayMin=9"], "GatewayMin=9 is more than GatewayMax=8"),
        ([*NEW, "--set=Brokers=4"], "Brokers=4 is no multiple of three"),
        ([*NEW, "--parameters=/nowhere.yaml"], "--parameters /nowhere.yaml"),
    ],
)
def test_choices_that_do_not_go_together_are_refused_before_any_call(aws: Aws, words: list[str], said: str) -> None:
    with pytest.raises(DeployError) as refusal:
        call(aws, *words, "--dry-run")

    assert said in str(refusal.value)


def test_what_the_data_depend_on_cannot_be_changed(aws: Aws) -> None:
    aws.answers("describe_stacks", standing())

    with pytest.raises(DeployError, match="Partitions is 64 and cannot become 128"):
        call(aws, "--set=Partitions=128", "--yes")


def test_parameters_come_from_a_file_and_the_command_line_goes_before_it(
    aws: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{name}: {value}" for name, value in NEEDED.items()]
    (tmp_path / "mine.yaml").write_text("\n".join([*lines, "LivePage: off", "StreamsMax: 4", "SinksMax: 2"]))

    call(aws, f"--parameters={tmp_path / 'mine.yaml'}", "--set=StreamsMax=6", "--dry-run")

    out = capsys.readouterr().out
    told = {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(out[out.index("{") :])["Parameters"]}
    assert (told["LivePage"], told["StreamsMax"], told["SinksMax"]) == ("off", "6", "2")


def test_without_a_region_it_says_so() -> None:
    with pytest.raises(DeployError, match="AWS_REGION"):
        deploy(arguments(*NEW, "--dry-run"), SimpleNamespace(region_name=None))  # type: ignore[arg-type]  # as a session without one


def test_the_repository_of_the_image_is_a_stack_of_its_own(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    call(aws, "image", "--dry-run")

    out = capsys.readouterr().out
    request = json.loads(out[out.index("{") :])
    assert out.count("s3://templates/watchtime/image-") == 1
    assert (request["StackName"], request["IncludeNestedStacks"]) == ("watchtime-image", False)
