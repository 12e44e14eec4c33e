"""A change set made, read, applied or dropped: the calls of CloudFormation and S3 behind `watchtime deploy`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from deploy.errors import DeployError
from deploy.stack_package import Package

#: Seconds between looks at something under way.
WAIT_S: Final = 5.0
#: Longer than a session's credentials mostly live; a broker takes about half an hour.
LOOKS: Final = 3 * 720
_NO_CHANGE: Final = ("didn't contain changes", "No updates are to be performed")
_EMPTY: Final = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource."""

    action: str
    #: Logical ids from the outermost stack on, as in Lake/Bucket.
    place: str
    kind: str
    #: "", or True or Conditional: a new one takes the old one's place.
    replaces: str

    def line(self) -> str:
        """Return it for people."""
        replaced = {"True": "  REPLACED", "Conditional": "  perhaps REPLACED"}.get(self.replaces, "")
        return f"{self.action:<7} {self.place:<36} {self.kind}{replaced}"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A change set that can be applied or dropped."""

    change_set: str
    #: Empty: there is nothing to change.
    changes: list[Change]
    #: Why nested stacks were not looked into; empty when they were.
    blind: str = ""


class Stacks:
    """One account and region."""

    def __init__(self, session: boto3.Session, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._cloudformation: Any = session.client("cloudformation")
        self._s3: Any = session.client("s3")
        self._wait = wait

    def upload(self, bucket: str, package: Package) -> None:
        """Put the templates where CloudFormation reads them."""
        for key, text in package.objects.items():
            self._s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/yaml")

    def found(self, stack: str) -> dict[str, Any] | None:
        """Return a stack as it stands, None when there is none (or only the shell of one that was never applied)."""
        try:
            (found,) = self._cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        return None if found["StackStatus"] == _EMPTY else dict(found)

    def prepare(self, request: dict[str, Any]) -> Prepared:
        """Make a change set and return what it would do.

        What one nested stack hands to another is known only when it is applied, and CloudFormation then sometimes
        refuses to look into nested stacks. The change set is made without that look in such a case.
        """
        name = request["ChangeSetName"]
        identity = self._cloudformation.create_change_set(**request)["Id"]
        for _ in range(LOOKS):
            set_ = self._cloudformation.describe_change_set(ChangeSetName=identity)
            if set_["Status"] == "CREATE_COMPLETE":
                return Prepared(change_set=name, changes=list(self._changes(set_, "")))
            if set_["Status"] == "FAILED":
                reason = set_.get("StatusReason", "no reason")
                if any(words in reason for words in _NO_CHANGE):
                    return Prepared(change_set=name, changes=[])
                if request["IncludeNestedStacks"]:
                    self.drop(request["StackName"], name, is_new=False)
                    flat = {**request, "ChangeSetName": f"{name}-flat", "IncludeNestedStacks": False}
                    return replace(self.prepare(flat), blind=reason)
                raise DeployError(f"CloudFormation cannot make the change set: {reason}")
            self._wait(WAIT_S)
        raise DeployError(f"the change set {identity} is not ready after {LOOKS * WAIT_S / 3600:.0f} h")

    def _changes(self, set_: dict[str, Any], above: str) -> Iterator[Change]:
        while True:
            for one in set_["Changes"]:
                change = one["ResourceChange"]
                place = above + change["LogicalResourceId"]
                yield Change(
                    action=change["Action"],
                    place=place,
                    kind=change["ResourceType"],
                    replaces=change.get("Replacement", ""),
                )
                if nested := change.get("ChangeSetId"):
                    below = self._cloudformation.describe_change_set(ChangeSetName=nested)
                    yield from self._changes(below, f"{place}/")
            if "NextToken" not in set_:
                return
            set_ = self._cloudformation.describe_change_set(
                ChangeSetName=set_["ChangeSetId"], NextToken=set_["NextToken"]
            )

    def drop(self, stack: str, change_set: str, *, is_new: bool) -> None:
        """Remove a change set that is not applied, and the shell of a stack that it made."""
        self._cloudformation.delete_change_set(StackName=stack, ChangeSetName=change_set)
        if is_new:
            self._cloudformation.delete_stack(StackName=stack)

    def apply(self, stack: str, change_set: str) -> Iterator[str]:
        """Carry a change set out, yielding each status of the stack; DeployError with the reasons when it fails."""
        self._cloudformation.execute_change_set(StackName=stack, ChangeSetName=change_set)
        last = ""
        for _ in range(LOOKS):
            (found,) = self._cloudformation.describe_stacks(StackName=stack)["Stacks"]
            status: str = found["StackStatus"]
            if status not in (last, _EMPTY):
                last = status
                yield status
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return
            if status.endswith(("_COMPLETE", "_FAILED")) and status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
                raise DeployError(f"{stack} ended in {status}:{''.join(self._reasons(stack))}")
            self._wait(WAIT_S)
        raise DeployError(f"{stack} is still {last} after {LOOKS * WAIT_S / 3600:.0f} h; it goes on without us")

    def _reasons(self, stack: str) -> Iterator[str]:
        events = self._cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                yield f"\n  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason')}"
