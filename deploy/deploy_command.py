"""`watchtime deploy`: shows what CloudFormation would change with these templates, and changes it by `--yes`."""

from __future__ import annotations

import argparse
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import boto3
import orjson
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from deploy.errors import DeployError
from deploy.stack_changes import Change, Stacks
from deploy.stack_package import TARGETS, Package, chosen, package, parameters

#: States in which a stack cannot be changed any more.
_DEAD: Final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    what = "; ".join(f"{name}: {words}" for name, (_, _, words) in TARGETS.items())
    parser.add_argument("target", choices=TARGETS, nargs="?", default="stack", help=f"{what} (default: stack)")
    parser.add_argument("--bucket", required=True, metavar="B", help="bucket of templates, in the stack's region")
    parser.add_argument("--region", metavar="R", help="default: as boto3 finds it")
    parser.add_argument("--stack-name", metavar="N", help="default: watchtime, watchtime-image, watchtime-quicksight")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter; repeat it")
    parser.add_argument("--parameters", type=Path, metavar="FILE", help="parameters as YAML; --set goes before it")
    parser.add_argument("--yes", action="store_true", help="apply the plan")
    parser.add_argument("--dry-run", action="store_true", help="print templates and request; asks AWS for nothing")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        deploy(args, boto3.Session(region_name=args.region))
    except (BotoCoreError, ClientError) as error:
        raise DeployError(f"AWS: {error}") from error
    return 0


def deploy(
    args: argparse.Namespace, session: boto3.Session, stacks: Stacks | None = None, change_set: str = ""
) -> None:
    """Print the plan, and apply it when that is wanted."""
    # One that was broken off may have left its change set behind.
    change_set = change_set or f"watchtime-{uuid.uuid4().hex[:12]}"
    if not session.region_name:
        raise DeployError("no region: give --region, or set AWS_REGION")
    packaged = package(args.target, args.bucket, session.region_name)
    name = args.stack_name or TARGETS[args.target][1]
    given = _from_file(args.parameters) | chosen(args.set)
    if args.dry_run:
        _say(_dry(packaged, args.bucket, _request(name, packaged, given, None)))
        return
    stacks = stacks or Stacks(session)
    before = stacks.found(name)
    if before is not None and before["StackStatus"] in _DEAD:
        raise DeployError(
            f"{name} is in {before['StackStatus']}, which nothing changes: look at why, delete it "
            f"(aws cloudformation delete-stack --stack-name {name}), and run this again"
        )
    request = _request(name, packaged, given, before) | {"ChangeSetName": change_set}
    stacks.upload(args.bucket, packaged)
    prepared = stacks.prepare(request)
    if not prepared.changes:
        stacks.drop(name, prepared.change_set, is_new=False)
        _say(f"{name}: nothing to change\n")
        return
    _say(_plan(name, prepared.changes + (_inside(packaged) if before is None else [])))
    if prepared.blind:
        _say(f"CloudFormation did not look into the nested stacks: {prepared.blind}\n")
    if not args.yes:
        stacks.drop(name, prepared.change_set, is_new=before is None)
        _say("not applied: run it again with --yes\n")
        return
    for status in stacks.apply(name, prepared.change_set):
        _say(f"{name}: {status}\n")
    for output in (stacks.found(name) or {}).get("Outputs", []):
        _say(f"{output['OutputKey']:<16} {output['OutputValue']}\n")


def _request(name: str, packaged: Package, given: dict[str, str], before: dict[str, Any] | None) -> dict[str, Any]:
    """Return the request for a change set."""
    kept = None
    if before is not None:
        kept = {one["ParameterKey"]: one["ParameterValue"] for one in before.get("Parameters", [])}
        kept = {key: value for key, value in kept.items() if key in packaged.parameters}
    tag = given.get("Name") or (kept or {}).get("Name") or packaged.parameters["Name"]["Default"]
    return {
        "StackName": name,
        "ChangeSetType": "CREATE" if before is None else "UPDATE",
        "TemplateURL": packaged.url,
        "Parameters": parameters(packaged.parameters, given, kept),
        # Roles are made, none of them under a name of its own.
        "Capabilities": ["CAPABILITY_IAM"],
        # In a new stack nothing is known yet of what one hands to the next; what is inside is told from the templates.
        "IncludeNestedStacks": bool(packaged.nested) and before is not None,
        "Tags": [{"Key": "watchtime", "Value": tag}],
    }


def _from_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        told = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise DeployError(f"--parameters {path}: {error}") from error
    if not isinstance(told, dict):
        raise DeployError(f"--parameters {path}: write a line KEY: VALUE for each parameter")
    # `on` and `off` without quotes are true and false in YAML.
    return {str(key): {True: "on", False: "off"}.get(value, str(value)) for key, value in told.items()}


def _dry(packaged: Package, bucket: str, request: dict[str, Any]) -> str:
    lines = [f"s3://{bucket}/{key}  {len(text.encode()):,} bytes" for key, text in packaged.objects.items()]
    return "\n".join([*lines, orjson.dumps(request, option=orjson.OPT_INDENT_2).decode(), ""])


def _inside(packaged: Package) -> list[Change]:
    return [
        Change(action="Add", place=f"{stack}/{logical}", kind=kind, replaces="")
        for stack, resources in packaged.nested.items()
        for logical, kind in resources.items()
    ]


def _plan(name: str, changes: list[Change]) -> str:
    counts = {action: sum(one.action == action for one in changes) for action in ("Add", "Modify", "Remove")}
    told = ", ".join(f"{count} {action.lower()}" for action, count in counts.items() if count)
    return "".join(f"{one.line()}\n" for one in changes) + f"{name}: {told}\n"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
