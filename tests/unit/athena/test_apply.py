"""`apply` against moto's Athena and Glue: what is made, what a second run leaves alone, and what is never replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from moto import mock_aws

from athena.athena import Athena, AthenaError
from athena.target import Target, TargetError, tables, views, workgroup_configuration
from streams.contract.rows import TABLES
from tests.unit.athena.account import Account

TARGET = Target(lake="s3://lake/a", first_day="2026-11-01", reference="s3://old")


@pytest.fixture(name="account")
def _account() -> Iterator[Account]:
    with mock_aws():
        yield Account()


def apply(account: Account, target: Target = TARGET) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in Athena(target, account.session, wait=lambda _: None).apply())


def test_everything_is_made_at_once(account: Account) -> None:
    done = apply(account)

    assert set(done.values()) == {"created"}
    assert list(done)[:2] == ["workgroup watchtime", "database watchtime"]
    assert {f"table {table.name}" for table in TABLES} < set(done)
    assert {"table raw", "table reference_video_daily", "view day_totals", "view events"} < set(done)
    assert account.statements() == [one.text for one in (*tables(TARGET), *views())]
    for body in account.calls("StartQueryExecution"):
        assert body["WorkGroup"] == "watchtime"
        assert body["QueryExecutionContext"] == {"Database": "watchtime", "Catalog": "AwsDataCatalog"}


def test_the_workgroup_limits_what_a_query_reads_and_where_results_go(account: Account) -> None:
    apply(account)

    found = account.athena.get_work_group(WorkGroup="watchtime")["WorkGroup"]["Configuration"]
    assert found["BytesScannedCutoffPerQuery"] == TARGET.scan_limit
    assert found["EnforceWorkGroupConfiguration"] is True
    assert found["ResultConfiguration"]["OutputLocation"] == "s3://lake/a/athena-results/"
    assert found["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    assert found["EngineVersion"]["SelectedEngineVersion"] == "Athena engine version 3"


def test_results_are_encrypted_with_the_key_that_was_named(account: Account) -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1a2b"
    apply(account, replace(TARGET, results_key=key))

    found = account.athena.get_work_group(WorkGroup="watchtime")["WorkGroup"]["Configuration"]
    encryption = found["ResultConfiguration"]["EncryptionConfiguration"]
    assert encryption == {"EncryptionOption": "SSE_KMS", "KmsKey": key}
    with pytest.raises(TargetError, match="results_key"):
        replace(TARGET, results_key="alias/watchtime")


def test_a_second_run_changes_no_table(account: Account) -> None:
    apply(account)
    account.requests.clear()

    done = apply(account)

    assert {what for name, what in done.items() if not name.startswith("view ")} == {"unchanged"}
    assert account.statements() == [one.text for one in views()]
    assert not account.calls("CreateWorkGroup") + account.calls("UpdateWorkGroup")


def test_another_first_day_makes_the_tables_anew(account: Account) -> None:
    apply(account)
    account.requests.clear()

    done = apply(account, replace(TARGET, first_day="2026-10-01"))

    assert done["table video_daily"] == "made anew, its definition had changed"
    started = account.statements()
    at = started.index("DROP TABLE IF EXISTS `video_daily`")
    assert "'projection.dt.range' = '2026-10-01,NOW'" in started[at + 1]


def test_a_changed_limit_updates_the_workgroup(account: Account) -> None:
    apply(account)
    account.requests.clear()

    done = apply(account, replace(TARGET, scan_limit=20_000_000))

    assert done["workgroup watchtime"] == "updated"
    (body,) = account.calls("UpdateWorkGroup")
    updates = body["ConfigurationUpdates"]
    assert updates["BytesScannedCutoffPerQuery"] == 20_000_000
    assert updates["ResultConfigurationUpdates"]["OutputLocation"] == "s3://lake/a/athena-results/"
    assert "ResultConfiguration" not in updates


def test_a_foreign_table_is_not_replaced(account: Account) -> None:
    account.glue.create_database(DatabaseInput={"Name": "watchtime"})
    account.glue.create_table(DatabaseName="watchtime", TableInput={"Name": "video_daily"})

    with pytest.raises(AthenaError, match="not made by this command"):
        apply(account)
    assert account.statements() == []


def test_a_table_in_place_of_a_view_is_not_replaced(account: Account) -> None:
    account.glue.create_database(DatabaseInput={"Name": "watchtime"})
    account.glue.create_table(
        DatabaseName="watchtime", TableInput={"Name": "day_totals", "TableType": "EXTERNAL_TABLE"}
    )

    with pytest.raises(AthenaError, match="is no view"):
        apply(account)


def test_without_a_reference_there_are_no_tables_of_it() -> None:
    names = [one.name for one in tables(replace(TARGET, reference=""))]

    assert names == [*(table.name for table in TABLES), "raw"]


def test_the_format_decides_how_the_tables_read() -> None:
    parquet, jsonl = tables(TARGET), tables(replace(TARGET, format="jsonl"))

    assert [one.name for one in parquet] == [one.name for one in jsonl]
    assert "STORED AS PARQUET" in parquet[0].text
    assert "JsonSerDe" in jsonl[0].text


def test_a_last_day_is_written_as_each_table_wants_it() -> None:
    found = {one.name: one.text for one in tables(replace(TARGET, last_day="2026-12-31"))}

    assert "'2026-11-01,2026-12-31'" in found["video_daily"]
    assert "'2026/11/01,2026/12/31'" in found["raw"]


def test_results_may_lie_elsewhere() -> None:
    found = workgroup_configuration(replace(TARGET, results="s3://other/r"))

    assert found["ResultConfiguration"]["OutputLocation"] == "s3://other/r/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lake", "file:///x"),
        ("lake", "s3://lake/it's"),
        ("lake", "s3://lake/"),
        ("format", "csv"),
        ("first_day", "yesterday"),
        ("first_day", "20261101"),
        ("first_day", "2026-W01-1"),
        ("last_day", "NOW'"),
        ("database", "x; DROP"),
        ("workgroup", "a b"),
        ("scan_limit", 1),
    ],
)
def test_a_choice_that_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(TargetError, match=f"{name} is {value!r}"):
        replace(TARGET, **{name: value})
