"""An AWS account in memory: moto's Athena and Glue, and a bridge that moto lacks, by which DDL makes tables in Glue."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from tests.athena.mapping import parse

MARK = re.compile(r"'watchtime\.definition' = '(\w+)'")


class Account:
    """Clients of moto, the requests that were made of Athena, and what its next queries answer."""

    def __init__(self) -> None:
        # moto's own keys are in the environment.
        self.session = boto3.Session(region_name="us-east-1")
        # Clients take the handlers that the session has when they are made.
        self.session.events.register("before-call.athena", self._note)
        self.session.events.register("after-call.athena.GetWorkGroup", self._refuse)
        self.glue = self.session.client("glue")
        self.athena = self.session.client("athena")
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def _note(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        body = json.loads(params["body"])
        self.requests.append((model.name, body))
        if model.name == "StartQueryExecution":
            self._carry_out(body["QueryString"], body["QueryExecutionContext"]["Database"])
        # moto does not have this one: what is returned here is taken for its answer.
        return (AWSResponse(params["url"], 200, {}, None), {}) if model.name == "UpdateWorkGroup" else None

    def _refuse(self, parsed: dict[str, Any], **_: Any) -> None:
        """Answer for a workgroup that is not there as AWS does; moto answers with nothing."""
        if "WorkGroup" not in parsed:
            error = {"Error": {"Code": "InvalidRequestException", "Message": "WorkGroup is not found."}}
            raise ClientError(error, "GetWorkGroup")

    def statements(self) -> list[str]:
        """Return the statements that were started."""
        return [body["QueryString"] for name, body in self.requests if name == "StartQueryExecution"]

    def calls(self, name: str) -> list[dict[str, Any]]:
        """Return the requests of one operation."""
        return [body for called, body in self.requests if called == name]

    def _carry_out(self, statement: str, database: str) -> None:
        if match := re.match(r"DROP TABLE IF EXISTS `(\w+)`", statement):
            self.glue.delete_table(DatabaseName=database, Name=match[1])
        elif match := re.match(r"CREATE OR REPLACE VIEW (\w+) AS", statement):
            names = {table["Name"] for table in self.glue.get_tables(DatabaseName=database)["TableList"]}
            if match[1] not in names:
                self.glue.create_table(
                    DatabaseName=database, TableInput={"Name": match[1], "TableType": "VIRTUAL_VIEW"}
                )
        elif statement.startswith("CREATE EXTERNAL TABLE"):
            ddl = parse(statement)
            self.glue.create_table(
                DatabaseName=database,
                TableInput={"Name": ddl.name, "TableType": "EXTERNAL_TABLE", "Parameters": ddl.properties},
            )
