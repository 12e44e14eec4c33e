"""The QuickSight dashboard as its template says it: data sets, visuals, and the numbers that each visual shows.

Read from the CloudFormation template itself, so that the local picture cannot show another dashboard than QuickSight.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE: Final = Path(__file__).parent.parent / "deploy" / "cloudformation" / "quicksight.yaml"
#: Columns of the grid on which visuals are placed.
GRID_COLUMNS: Final = 36
_DAYS_SHOWN: Final = 60


class DashboardError(Exception):
    """The template holds something that the picture does not know how to draw."""


@dataclass(frozen=True, kw_only=True)
class Visual:
    """One visual: what it is, where it stands on its sheet's grid, and the columns that it shows."""

    visual_id: str
    #: As the template calls it: BarChartVisual, KPIVisual, …
    kind: str
    title: str
    data_set: str
    dimensions: list[str]
    values: list[str]
    horizontal: bool
    #: CLUSTERED, STACKED or STACKED_PERCENT; empty where there are no bars.
    arrangement: str
    #: Name of the column to sort by, and whether from the greatest down.
    sort: tuple[str, bool] | None
    limit: int
    column: int
    row: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """Data sets by name (their SQL, columns with types, and the column with the date), and each sheet's visuals."""

    queries: dict[str, str]
    columns: dict[str, dict[str, str]]
    dates: dict[str, str]
    sheets: dict[str, list[Visual]]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the text or list behind them."""


def _short_form(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    raise DashboardError(f"unknown short form at line {node.start_mark.line + 1}")


_Loader.add_multi_constructor("!", _short_form)


def read(template: Path = TEMPLATE) -> Dashboard:
    """Return what the template says."""
    resources = yaml.load(template.read_text(), _Loader)["Resources"]  # noqa: S506 - a safe loader with two more forms
    queries, columns, dates = {}, {}, {}
    for resource in resources.values():
        if resource["Type"] == "AWS::QuickSight::DataSet":
            ((name, table),) = resource["Properties"]["PhysicalTableMap"].items()
            queries[name] = table["CustomSql"]["SqlQuery"].strip()
            columns[name] = {column["Name"]: column["Type"] for column in table["CustomSql"]["Columns"]}
            refresh = resource["Properties"]["DataSetRefreshProperties"]["RefreshConfiguration"]
            dates[name] = refresh["IncrementalRefresh"]["LookbackWindow"]["ColumnName"]
    definition = resources["Template"]["Properties"]["Definition"]
    sheets = {sheet["Name"]: _visuals(sheet) for sheet in definition["Sheets"]}
    return Dashboard(queries=queries, columns=columns, dates=dates, sheets=sheets)


def numbers(
    dashboard: Dashboard,
    visual: Visual,
    ask: Callable[[str], Sequence[Sequence[Any]]],
    today: str,
) -> list[tuple[Any, ...]]:
    """Return the rows that a visual shows: dimensions, then sums, of the days that the dashboard's filter leaves."""
    source = dashboard.queries[visual.data_set].replace("${Database}", "main")
    shown = [*visual.dimensions, *(f"sum({value})" for value in visual.values)]
    last = datetime.date.fromisoformat(today)
    first = last - datetime.timedelta(days=_DAYS_SHOWN)
    date = dashboard.dates[visual.data_set]
    days = f"{date} > DATE '{first}' AND {date} <= DATE '{last}'"
    statement = f"SELECT {', '.join(shown)} FROM ({source}) AS source WHERE {days}"  # noqa: S608 - ours
    if visual.dimensions:
        statement += f" GROUP BY {', '.join(visual.dimensions)}"
    if visual.sort:
        column, falling = visual.sort
        order = f"sum({column})" if column in visual.values else column
        statement += f" ORDER BY {order}{' DESC' if falling else ''}, {', '.join(visual.dimensions)}"
    if visual.limit:
        statement += f" LIMIT {visual.limit}"
    return [tuple(row) for row in ask(statement)]


def _visuals(sheet: dict[str, Any]) -> list[Visual]:
    (layout,) = sheet["Layouts"]
    places = {place["ElementId"]: place for place in layout["Configuration"]["GridLayout"]["Elements"]}
    return [_visual(visual, places) for visual in sheet["Visuals"]]


def _visual(item: dict[str, Any], places: dict[str, dict[str, Any]]) -> Visual:
    ((kind, body),) = item.items()
    chart = body["ChartConfiguration"]
    wells = chart["FieldWells"]
    wells = wells if kind == "KPIVisual" else next(iter(wells.values()))
    # Rows and columns of a heat map, the category of bars, the groups of a table.
    dimensions = [field for well in ("Rows", "Columns", "Category", "GroupBy") for field in wells.get(well, [])]
    fields = [next(iter(field.values())) for field in (*dimensions, *wells["Values"])]
    place = places[body["VisualId"]]
    (data_set,) = {field["Column"]["DataSetIdentifier"] for field in fields}
    return Visual(
        visual_id=body["VisualId"],
        kind=kind,
        title=body["Title"]["FormatText"]["PlainText"],
        data_set=data_set,
        dimensions=[field["Column"]["ColumnName"] for field in fields[: len(dimensions)]],
        values=[field["Column"]["ColumnName"] for field in fields[len(dimensions) :]],
        horizontal=chart.get("Orientation") == "HORIZONTAL",
        arrangement=chart.get("BarsArrangement", ""),
        sort=_sort(chart.get("SortConfiguration", {}), fields),
        limit=chart.get("SortConfiguration", {}).get("CategoryItemsLimit", {}).get("ItemsLimit", 0),
        column=place["ColumnIndex"],
        row=place["RowIndex"],
        width=place["ColumnSpan"],
        height=place["RowSpan"],
    )


def _sort(configuration: dict[str, Any], fields: list[dict[str, Any]]) -> tuple[str, bool] | None:
    for key in ("CategorySort", "RowSort"):
        for sort in configuration.get(key, []):
            field = sort["FieldSort"]
            column = next(one["Column"]["ColumnName"] for one in fields if one["FieldId"] == field["FieldId"])
            return column, field["Direction"] == "DESC"
    return None
