"""Athena by boto3: makes what a target asks for, and runs queries to their last row.

Making is safe to repeat: what is there as wanted stays, a table of another definition is dropped and made anew (its
files are not touched, the tables are external), and a table that this program did not make is never replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from athena.statements import Statement
from athena.target import DEFINITION, Definition, Target, tables, views, workgroup_configuration

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import TableTypeDef

#: Seconds between looks at a running query: quick at first, for most queries end within a second.
WAITS_S: Final = (0.2, 0.3, 0.5, 1.0, 2.0)
#: Athena rounds what a query reads up to this many bytes.
LEAST_BILLED: Final = 10_000_000
TERABYTE: Final = 1_000_000_000_000
_DONE: Final = ("SUCCEEDED", "FAILED", "CANCELLED")
_COMMENT: Final = "Watch time, exact: made by `watchtime athena apply`"


class AthenaError(Exception):
    """Athena refused or broke off a statement, or something foreign stands where ours should go."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a query used."""

    scanned_bytes: int
    engine_ms: int
    queue_ms: int

    def line(self, price_per_tb: float) -> str:
        """Return it as a line for people; the price is that of one terabyte read, in dollars."""
        billed = max(self.scanned_bytes, LEAST_BILLED) if self.scanned_bytes else 0
        dollars = billed / TERABYTE * price_per_tb
        return (
            f"read {self.scanned_bytes:,} bytes, billed {billed:,} (${dollars:.6f} at ${price_per_tb:g} a TB); "
            f"{self.engine_ms:,} ms in the engine, {self.queue_ms:,} ms in the queue"
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A query's result: typed where Athena says so."""

    names: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    cost: Cost


class Athena:
    """One account's Athena, as one target sees it."""

    def __init__(self, target: Target, session: boto3.Session, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._target = target
        self._athena: AthenaClient = session.client("athena")
        self._glue: GlueClient = session.client("glue")
        self._wait = wait

    def apply(self) -> Iterator[str]:
        """Make or update everything, yielding a line for each thing as it is done."""
        yield f"workgroup {self._target.workgroup}: {self._apply_workgroup()}"
        yield f"database {self._target.database}: {self._apply_database()}"
        for table in tables(self._target):
            yield f"table {table.name}: {self._apply_table(table)}"
        for view in views():
            yield f"view {view.name}: {self._apply_view(view)}"

    def ask(self, statement: str) -> Answer:
        """Run a statement in the workgroup and database, wait for its end and return all its rows."""
        query_id = self._start(statement)
        try:
            execution = self._await_end(query_id)
        except BaseException:
            # Whoever stops waiting (Ctrl-C) must not go on paying.
            self._athena.stop_query_execution(QueryExecutionId=query_id)
            raise
        statistics = execution.get("Statistics", {})
        cost = Cost(
            scanned_bytes=statistics.get("DataScannedInBytes", 0),
            engine_ms=statistics.get("EngineExecutionTimeInMillis", 0),
            queue_ms=statistics.get("QueryQueueTimeInMillis", 0),
        )
        status = execution["Status"]
        if status["State"] != "SUCCEEDED":
            reason = status.get("StateChangeReason", "no reason given")
            raise AthenaError(f"query {query_id} {status['State'].lower()}: {reason} ({cost.line(0)})")
        names, types, rows = self._rows(query_id, has_header=execution.get("StatementType") == "DML")
        return Answer(names=names, types=types, rows=rows, cost=cost)

    def _start(self, statement: str) -> str:
        started = self._athena.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": self._target.database, "Catalog": "AwsDataCatalog"},
            WorkGroup=self._target.workgroup,
        )
        return started["QueryExecutionId"]

    def _await_end(self, query_id: str) -> QueryExecutionTypeDef:
        looks = 0
        while True:
            execution = self._athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] in _DONE:
                return execution
            self._wait(WAITS_S[min(looks, len(WAITS_S) - 1)])
            looks += 1

    def _rows(self, query_id: str, *, has_header: bool) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
        names: list[str] = []
        types: list[str] = []
        rows: list[tuple[Any, ...]] = []
        pages = self._athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        for number, page in enumerate(pages):
            columns = page["ResultSet"].get("ResultSetMetadata", {}).get("ColumnInfo", [])
            names, types = [column["Name"] for column in columns], [column["Type"] for column in columns]
            found = page["ResultSet"].get("Rows", [])
            # Of a SELECT, the first row of the first page repeats the names.
            for row in found[1 if has_header and number == 0 else 0 :]:
                cells = [cell.get("VarCharValue") for cell in row["Data"]]
                rows.append(tuple(_typed(cell, kind) for cell, kind in zip(cells, types, strict=True)))
        return names, types, rows

    def _apply_workgroup(self) -> str:
        wanted: Any = workgroup_configuration(self._target)
        try:
            found = self._athena.get_work_group(WorkGroup=self._target.workgroup)["WorkGroup"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidRequestException":
                raise
            self._athena.create_work_group(Name=self._target.workgroup, Configuration=wanted, Description=_COMMENT)
            return "created"
        if _holds(found.get("Configuration", {}), wanted):
            return "unchanged"
        # The update calls the same settings by another name.
        updates: Any = {**wanted, "ResultConfigurationUpdates": wanted["ResultConfiguration"]}
        del updates["ResultConfiguration"]
        self._athena.update_work_group(WorkGroup=self._target.workgroup, ConfigurationUpdates=updates)
        return "updated"

    def _apply_database(self) -> str:
        try:
            self._glue.get_database(Name=self._target.database)
        except self._glue.exceptions.EntityNotFoundException:
            self._glue.create_database(DatabaseInput={"Name": self._target.database, "Description": _COMMENT})
            return "created"
        return "unchanged"

    def _apply_table(self, table: Definition) -> str:
        found = self._found(table.name)
        if found is None:
            self.ask(table.text)
            return "created"
        mark = found.get("Parameters", {}).get(DEFINITION)
        if mark is None:
            raise AthenaError(
                f"{self._target.database}.{table.name} is there, but was not made by this command; "
                "choose another --database, or drop it (its files stay)",
            )
        if mark == table.mark:
            return "unchanged"
        self.ask(f"DROP TABLE IF EXISTS `{table.name}`")
        self.ask(table.text)
        return "made anew, its definition had changed"

    def _apply_view(self, view: Statement) -> str:
        found = self._found(view.name)
        if found is not None and found.get("TableType") != "VIRTUAL_VIEW":
            raise AthenaError(
                f"{self._target.database}.{view.name} is there and is no view; choose another --database, or drop it"
            )
        self.ask(view.text)
        return "created" if found is None else "replaced"

    def _found(self, name: str) -> TableTypeDef | None:
        try:
            return self._glue.get_table(DatabaseName=self._target.database, Name=name)["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            return None


def _holds(found: object, wanted: object) -> bool:
    """Tell whether all that is wanted is found; what else is there (an effective engine version) does not matter."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(found.get(key), value) for key, value in wanted.items())
    return bool(found == wanted)


def _typed(cell: str | None, kind: str) -> object:
    """Return a cell, which Athena sends as text, as a value of its column's type."""
    if cell is None:
        return None
    if kind in ("tinyint", "smallint", "integer", "bigint"):
        return int(cell)
    if kind in ("float", "double"):
        return float(cell)
    if kind == "boolean":
        return cell == "true"
    return cell
