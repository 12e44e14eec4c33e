"""Running a query on Athena: waiting, paging, types, cost and failure, with answers from botocore's stubber."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from athena.athena import WAITS_S, Athena, AthenaError, Cost
from athena.target import Target

TARGET = Target(lake="s3://lake", first_day="2026-11-01")
STATISTICS = {"DataScannedInBytes": 2_500_000, "EngineExecutionTimeInMillis": 812, "QueryQueueTimeInMillis": 93}


class Asked:
    """An Athena whose answers are written down beforehand, and the seconds that it was waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        session = boto3.Session("a", "b", region_name="us-east-1")
        self.athena = Athena(TARGET, session, wait=self.waits.append)
        self.stub = Stubber(self.athena._athena)
        self.stub.activate()

    def started(self, statement: str) -> None:
        self.stub.add_response(
            "start_query_execution",
            {"QueryExecutionId": "q1"},
            {
                "QueryString": statement,
                "QueryExecutionContext": {"Database": "watchtime", "Catalog": "AwsDataCatalog"},
                "WorkGroup": "watchtime",
            },
        )

    def state(self, state: str, kind: str = "DML", reason: str = "") -> None:
        execution = {"Status": {"State": state, "StateChangeReason": reason}, "StatementType": kind}
        execution |= {"Statistics": STATISTICS} if state == "SUCCEEDED" else {}
        self.stub.add_response("get_query_execution", {"QueryExecution": execution}, {"QueryExecutionId": "q1"})

    def page(
        self, rows: list[list[str | None]], columns: list[tuple[str, str]], following: str = "", after: str = ""
    ) -> None:
        cells = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows]
        metadata = {"ColumnInfo": [{"Name": name, "Type": kind} for name, kind in columns]}
        answer: dict[str, Any] = {"ResultSet": {"Rows": cells, "ResultSetMetadata": metadata}}
        answer |= {"NextToken": following} if following else {}
        asked = {"QueryExecutionId": "q1"} | ({"NextToken": after} if after else {})
        self.stub.add_response("get_query_results", answer, asked)


@pytest.fixture(name="asked")
def _asked() -> Asked:
    return Asked()


def test_rows_of_all_pages_are_typed_and_the_header_is_no_row(asked: Asked) -> None:
    columns = [("a", "bigint"), ("b", "double"), ("c", "boolean"), ("d", "varchar")]
    asked.started("SELECT 1")
    asked.state("SUCCEEDED")
    asked.page([["a", "b", "c", "d"], ["5", "0.5", "true", ""]], columns, following="t")
    asked.page([["7", None, "false", None]], columns, after="t")

    answer = asked.athena.ask("SELECT 1")

    assert answer.names == ["a", "b", "c", "d"]
    assert answer.types == ["bigint", "double", "boolean", "varchar"]
    assert answer.rows == [(5, 0.5, True, ""), (7, None, False, None)]
    assert answer.cost == Cost(scanned_bytes=2_500_000, engine_ms=812, queue_ms=93)
    asked.stub.assert_no_pending_responses()


def test_a_statement_without_header_loses_no_row(asked: Asked) -> None:
    asked.started("SHOW TABLES")
    asked.state("SUCCEEDED", kind="UTILITY")
    asked.page([["video_daily"]], [("tab_name", "string")])

    assert asked.athena.ask("SHOW TABLES").rows == [("video_daily",)]


def test_waiting_grows_longer_and_has_an_end(asked: Asked) -> None:
    asked.started("SELECT 1")
    for _ in range(4):
        asked.state("QUEUED")
    for _ in range(3):
        asked.state("RUNNING")
    asked.state("SUCCEEDED")
    asked.page([["a"]], [("a", "bigint")])

    asked.athena.ask("SELECT 1")

    assert asked.waits == [*WAITS_S, WAITS_S[-1], WAITS_S[-1]]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_failure_says_why(asked: Asked, state: str) -> None:
    asked.started("SELECT x")
    asked.state(state, reason="COLUMN_NOT_FOUND: x")

    with pytest.raises(AthenaError, match=f"query q1 {state.lower()}: COLUMN_NOT_FOUND: x"):
        asked.athena.ask("SELECT x")


def test_whoever_stops_waiting_stops_the_query(asked: Asked) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    asked.athena._wait = interrupt
    asked.started("SELECT 1")
    asked.state("RUNNING")
    asked.stub.add_response("stop_query_execution", {}, {"QueryExecutionId": "q1"})

    with pytest.raises(KeyboardInterrupt):
        asked.athena.ask("SELECT 1")
    asked.stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("scanned", "line"),
    [
        (0, "read 0 bytes, billed 0 ($0.000000 at $5 a TB)"),
        (1, "read 1 bytes, billed 10,000,000 ($0.000050 at $5 a TB)"),
        (2_000_000_000_000, "read 2,000,000,000,000 bytes, billed 2,000,000,000,000 ($10.000000 at $5 a TB)"),
    ],
)
def test_the_cost_line_counts_what_is_billed(scanned: int, line: str) -> None:
    assert (
        Cost(scanned_bytes=scanned, engine_ms=1, queue_ms=2).line(5.0)
        == f"{line}; 1 ms in the engine, 2 ms in the queue"
    )
