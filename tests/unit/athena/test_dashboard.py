"""The QuickSight template: its SQL, its fields, its refreshes; and the local picture, which shows the same numbers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pytest
import yaml
from cfnlint.api import lint_file

from athena import athena_command
from athena.dashboard import TEMPLATE, Dashboard, DashboardError, Visual, _Loader, numbers, read
from athena.picture import svg
from athena.rereading import UnreadableLakeError
from deploy import cli
from sinks.lake import NoStackError
from tests.athena.answers import channel_days, monday
from tests.athena.sample import Sample, grouped, sums

TYPES = {"DATE": "DATETIME", "DOUBLE": "DECIMAL", "BIGINT": "INTEGER", "VARCHAR": "STRING"}
TODAY = "2026-01-13"


@pytest.fixture(scope="module", name="resources")
def _resources() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), _Loader)["Resources"]  # noqa: S506


@pytest.fixture(scope="module", name="dashboard")
def _dashboard() -> Dashboard:
    return read()


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == f"AWS::QuickSight::{kind}"}


def visual(dashboard: Dashboard, visual_id: str) -> Visual:
    return next(one for sheet in dashboard.sheets.values() for one in sheet if one.visual_id == visual_id)


def test_the_template_is_lint_clean() -> None:
    assert [str(match) for match in lint_file(TEMPLATE)] == []


def test_data_sets_declare_what_their_sql_returns(resources: dict[str, Any], lake: duckdb.DuckDBPyConnection) -> None:
    template = resources["Template"]["Properties"]["Definition"]["DataSetConfigurations"]
    expected = {one["Placeholder"]: one["DataSetSchema"]["ColumnSchemaList"] for one in template}
    for properties in of_type(resources, "DataSet").values():
        ((name, table),) = properties["PhysicalTableMap"].items()
        sql = table["CustomSql"]["SqlQuery"].replace("${Database}", "main")
        returned = {column[0]: TYPES[str(column[1])] for column in lake.execute(sql).description}

        assert {one["Name"]: one["Type"] for one in table["CustomSql"]["Columns"]} == returned
        assert {one["Name"]: one["DataType"] for one in expected.pop(name)} == returned
    assert expected == {}


def test_every_data_set_is_refreshed_by_increments_and_renewed(resources: dict[str, Any]) -> None:
    schedules = of_type(resources, "RefreshSchedule").values()
    for properties in of_type(resources, "DataSet").values():
        assert properties["ImportMode"] == "SPICE"
        window = properties["DataSetRefreshProperties"]["RefreshConfiguration"]["IncrementalRefresh"]["LookbackWindow"]
        # An event may be a week late; a week's row changes until its last day is a week old.
        assert (window["Size"], window["SizeUnit"]) == ((2, "WEEK") if window["ColumnName"] == "monday" else (7, "DAY"))
        kinds = [one["Schedule"]["RefreshType"] for one in schedules if one["DataSetId"] == properties["DataSetId"]]
        assert sorted(kinds) == ["FULL_REFRESH", "INCREMENTAL_REFRESH"]


def test_fields_and_filters_name_columns_that_there_are(resources: dict[str, Any], dashboard: Dashboard) -> None:
    definition = resources["Template"]["Properties"]["Definition"]
    schemas = {
        one["Placeholder"]: {column["Name"] for column in one["DataSetSchema"]["ColumnSchemaList"]}
        for one in definition["DataSetConfigurations"]
    }
    for sheet in dashboard.sheets.values():
        for one in sheet:
            assert {*one.dimensions, *one.values} <= schemas[one.data_set], one.visual_id
    filtered = {}
    for group in definition["FilterGroups"]:
        column = group["Filters"][0]["RelativeDatesFilter"]["Column"]
        filtered[column["DataSetIdentifier"]] = column["ColumnName"]
    assert filtered == dashboard.dates


def test_analysis_and_dashboard_take_all_data_sets(resources: dict[str, Any], dashboard: Dashboard) -> None:
    for kind in ("Analysis", "Dashboard"):
        (properties,) = of_type(resources, kind).values()
        references = properties["SourceEntity"]["SourceTemplate"]["DataSetReferences"]
        assert {one["DataSetPlaceholder"] for one in references} == set(dashboard.queries)


def test_visuals_do_not_lie_over_each_other(dashboard: Dashboard) -> None:
    for sheet in dashboard.sheets.values():
        taken = [
            (column, row)
            for one in sheet
            for column in range(one.column, one.column + one.width)
            for row in range(one.row, one.row + one.height)
        ]
        assert len(taken) == len(set(taken))
        assert max(column for column, _ in taken) < 36


def test_the_numbers_are_those_of_the_facts(
    dashboard: Dashboard, data: Sample, lake: duckdb.DuckDBPyConnection
) -> None:
    def shown(visual_id: str) -> list[tuple[Any, ...]]:
        return numbers(dashboard, visual(dashboard, visual_id), lambda text: lake.execute(text).fetchall(), TODAY)

    weeks = grouped(data.facts, lambda fact: monday(fact.dt))
    hours: dict[str, float] = {}
    for _, channel, _, watch_hours, *_ in channel_days(data):
        hours[channel] = hours.get(channel, 0) + watch_hours

    assert [(str(row[0])[:10], round(row[1], 6), round(row[2], 6)) for row in shown("by-week")] == [
        (week, round(sums(facts)[0] / 3.6e6, 6), round(sums(facts)[1] / 3.6e6, 6)) for week, facts in weeks.items()
    ]
    assert [row[0] for row in shown("top-channels")] == sorted(hours, key=lambda name: -hours[name])[:10]
    assert shown("total-views") == [(sum(fact.views for fact in data.facts),)]


def test_days_that_are_too_old_are_left_out(dashboard: Dashboard, lake: duckdb.DuckDBPyConnection) -> None:
    def ask(text: str) -> list[tuple[Any, ...]]:
        return lake.execute(text).fetchall()

    assert len(numbers(dashboard, visual(dashboard, "by-day"), ask, "2026-03-13")) == 1
    assert numbers(dashboard, visual(dashboard, "by-day"), ask, "2026-04-12") == []


def test_days_after_the_last_one_are_left_out(dashboard: Dashboard, lake: duckdb.DuckDBPyConnection) -> None:
    days = numbers(dashboard, visual(dashboard, "by-day"), lambda text: lake.execute(text).fetchall(), "2026-01-11")

    assert max(str(row[0])[:10] for row in days) == "2026-01-11"


def test_the_picture_holds_every_visual_and_names_as_text(
    dashboard: Dashboard, lake: duckdb.DuckDBPyConnection
) -> None:
    for title, visuals in dashboard.sheets.items():
        picture = svg(
            title,
            visuals,
            lambda one: numbers(dashboard, one, lambda text: lake.execute(text).fetchall(), TODAY),
        )
        texts = [node.text for node in ElementTree.fromstring(picture).findall(".//{*}text")]  # noqa: S314

        assert {one.title for one in visuals} < set(texts)
        assert title == "Data quality" or 'O\'Hara "live"' in texts


def test_a_picture_of_nothing_is_a_picture(dashboard: Dashboard) -> None:
    empty = svg("empty", dashboard.sheets["Watching"], lambda one: [(None,)] if one.kind == "KPIVisual" else [])

    assert "none" in [node.text for node in ElementTree.fromstring(empty).findall(".//{*}text")]  # noqa: S314


def test_an_unknown_visual_is_named(dashboard: Dashboard) -> None:
    strange = Visual(**{**vars(visual(dashboard, "by-day")), "kind": "SankeyDiagramVisual"})

    with pytest.raises(DashboardError, match="a SankeyDiagramVisual cannot be drawn"):
        svg("x", [strange], lambda _: [])


def test_the_command_draws_and_names_the_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SINKS_LAKE", tmp_path.as_uri())
    command = ["athena", "--data-dir", str(tmp_path), "picture", "--out", str(tmp_path / "out.svg")]

    assert cli.main(command) == 0
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    assert cli.main([*command, "--sheet", "None"]) == 1
    assert "there are Watching, Data quality" in capsys.readouterr().err
    assert cli.main([*command, "--to", "foo"]) == 1
    assert "'foo' is no day" in capsys.readouterr().err


def test_a_lake_that_cannot_be_read_is_told_and_one_that_changes_meanwhile_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changing = iter([True])

    class Changing:
        """A connection to a lake that a sink writes."""

        def execute(self, _text: str) -> Any:
            if next(changing, False):
                raise duckdb.IOException("the file ends early")
            return duckdb.execute("SELECT NULL WHERE false")

    monkeypatch.setenv("SINKS_LAKE", tmp_path.as_uri())
    monkeypatch.setattr(athena_command, "connect", lambda _: contextlib.nullcontext(Changing()))
    command = ["athena", "--data-dir", str(tmp_path), "picture", "--out", str(tmp_path / "out.svg")]
    assert cli.main(command) == 0

    def unreadable(_lake: Any) -> Any:
        raise UnreadableLakeError("no text")

    monkeypatch.setattr(athena_command, "connect", unreadable)
    assert cli.main(command) == 1
    assert "athena: no text" in capsys.readouterr().err


def test_the_plan_prints_every_statement(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["athena", "plan", "--lake", "s3://bucket/", "--first-day", "2026-11-01", "--format", "jsonl"]

    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert out.count("CREATE EXTERNAL TABLE") == 6
    assert out.count("CREATE OR REPLACE VIEW") == 17
    assert '"BytesScannedCutoffPerQuery": 100000000000' in out
    assert "{{" not in out


def test_the_first_day_is_found_in_the_lake(tmp_path: Path) -> None:
    for dt in ("2026-03-02", "2026-03-01"):
        (tmp_path / "analytics" / "ingest_daily" / f"dt={dt}").mkdir(parents=True)
        (tmp_path / "analytics" / "ingest_daily" / f"dt={dt}" / "data.parquet").write_bytes(b"")

    assert athena_command.first_day_in(tmp_path.as_uri(), {}) == "2026-03-01"
    with pytest.raises(NoStackError, match="'mybucket' names no lake"):
        athena_command.first_day_in("mybucket", {})


def test_a_lake_without_days_asks_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["athena", "plan", "--lake", tmp_path.as_uri()]) == 1
    assert "name the first one by --first-day" in capsys.readouterr().err
