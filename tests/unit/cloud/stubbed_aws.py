"""AWS as botocore's stubs answer for it: each request is checked, in its order."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.stub import Stubber

from deploy.stack_changes import Stacks
from tests.unit.cloud.account import NEEDED

#: The parameters of a stack that stands.
BEFORE = {**NEEDED, "Name": "watchtime", "Partitions": "64", "StreamsMax": "8", "GoneMeanwhile": "x"}


class Aws:
    """Stubbed clients, and the answers that are expected in their order."""

    def __init__(self) -> None:
        self.region_name = "eu-west-1"
        real = boto3.Session(region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106 - made up
        self._clients = {name: real.client(name) for name in ("cloudformation", "s3")}
        self._stubs = {name: Stubber(client) for name, client in self._clients.items()}
        for stub in self._stubs.values():
            stub.activate()
        self.waits: list[float] = []
        self.stacks = Stacks(self, wait=self.waits.append)  # type: ignore[arg-type]  # only what is used of a session

    def client(self, name: str) -> Any:
        return self._clients[name]

    def answers(self, operation: str, answer: dict[str, Any], expected: dict[str, Any] | None = None) -> None:
        self._stubs["s3" if operation == "put_object" else "cloudformation"].add_response(operation, answer, expected)

    def refuses(self, operation: str, message: str) -> None:
        self._stubs["cloudformation"].add_client_error(operation, "ValidationError", message)

    def is_done(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


def stack(status: str, **more: Any) -> dict[str, Any]:
    one = {"StackName": "watchtime", "CreationTime": "2026-11-01T00:00:00Z", "StackStatus": status, **more}
    return {"Stacks": [one]}


def standing() -> dict[str, Any]:
    kept = [{"ParameterKey": name, "ParameterValue": value} for name, value in BEFORE.items()]
    return stack("UPDATE_COMPLETE", Parameters=kept)


def change(action: str, logical: str, kind: str, **more: str) -> dict[str, Any]:
    return {"ResourceChange": {"Action": action, "LogicalResourceId": logical, "ResourceType": kind, **more}}
