"""Athena's DDL as Trino's: the same table said in Trino's words, and what Trino must have stored for it.

Parsed by sqlglot's Athena dialect; a word in a statement that this module does not understand is an error, so that
nothing of the file goes unproved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlglot
from sqlglot import exp

JSON_SERDE: Final = "org.openx.data.jsonserde.JsonSerDe"
_TRINO_TYPES: Final = {"string": "varchar", "bigint": "bigint"}
_CLAUSES: Final = (
    exp.ExternalProperty,
    exp.PartitionedByProperty,
    exp.RowFormatSerdeProperty,
    exp.FileFormatProperty,
    exp.LocationProperty,
    exp.Property,
)
_PROJECTION: Final = {
    "type": ("partition_projection_type", str.upper),
    "format": ("partition_projection_format", str),
    "interval.unit": ("partition_projection_interval_unit", str.upper),
}


@dataclass(frozen=True, kw_only=True)
class TableDdl:
    """What a CREATE EXTERNAL TABLE statement of Athena says."""

    name: str
    columns: list[tuple[str, str]]
    partitions: list[tuple[str, str]]
    location: str
    #: PARQUET or OPENX_JSON, in Trino's words.
    form: str
    serde_properties: dict[str, str]
    properties: dict[str, str]


def parse(text: str) -> TableDdl:
    """Return what a statement says; ValueError when something in it is not understood."""
    tree = sqlglot.parse_one(text, dialect="athena")
    if not isinstance(tree, exp.Create) or tree.kind != "TABLE":
        raise ValueError(f"parsed as {type(tree).__name__}, not as a CREATE TABLE")
    clauses = tree.args["properties"].expressions
    if unknown := [clause for clause in clauses if type(clause) not in _CLAUSES]:
        raise ValueError(f"not understood: {unknown[0].sql(dialect='athena')}")
    if not _only(clauses, exp.ExternalProperty):
        raise ValueError("the table is not EXTERNAL")
    serde = _only(clauses, exp.RowFormatSerdeProperty)
    if serde and serde.this.name != JSON_SERDE:
        raise ValueError(f"unknown SerDe {serde.this.name}")
    nested = serde.args.get("serde_properties") if serde else None
    location = _only(clauses, exp.LocationProperty)
    if location is None:
        raise ValueError("the table has no LOCATION")
    partitioned = _only(clauses, exp.PartitionedByProperty)
    return TableDdl(
        name=tree.this.this.name,
        columns=[(column.name, _type(column)) for column in tree.this.expressions],
        partitions=[(column.name, _type(column)) for column in partitioned.this.expressions] if partitioned else [],
        location=location.this.name,
        form="OPENX_JSON" if serde else _file_format(_only(clauses, exp.FileFormatProperty)),
        serde_properties=_pairs(nested.expressions) if nested else {},
        properties=_pairs([clause for clause in clauses if type(clause) is exp.Property]),
    )


def _only(clauses: list[exp.Expression], kind: type[exp.Expression]) -> exp.Expression | None:
    found = [clause for clause in clauses if type(clause) is kind]
    if len(found) > 1:
        raise ValueError(f"{kind.__name__} is there {len(found)} times")
    return found[0] if found else None


def _type(column: exp.ColumnDef) -> str:
    return str(column.args["kind"].sql(dialect="hive")).lower()


def _file_format(item: exp.Expression | None) -> str:
    if item is None or isinstance(item.this, exp.InputOutputFormat):
        raise ValueError("neither a SerDe nor STORED AS says what the files are")
    return str(item.this.name).upper()


def _pairs(items: list[exp.Expression]) -> dict[str, str]:
    return {
        (item.this.name if isinstance(item.this, exp.Expression) else str(item.this)): item.args["value"].name
        for item in items
    }


def trino_ddl(ddl: TableDdl) -> str:
    """Return the statement that makes the same table in Trino."""
    ((partition, kind),) = ddl.partitions
    used = {"projection.enabled", "storage.location.template"}
    options = []
    for key, (option, shape) in _PROJECTION.items():
        used.add(name := f"projection.{partition}.{key}")
        options.append(f"{option} = '{shape(ddl.properties[name])}'")
    used |= {f"projection.{partition}.range", f"projection.{partition}.interval"}
    first, last = ddl.properties[f"projection.{partition}.range"].split(",")
    options.append(f"partition_projection_range = ARRAY['{first}', '{last}']")
    options.append(f"partition_projection_interval = {ddl.properties[f'projection.{partition}.interval']}")
    if unused := set(ddl.properties) - used:
        raise ValueError(f"properties without a meaning: {', '.join(sorted(unused))}")
    columns = [f"{name} {_TRINO_TYPES[column_type]}" for name, column_type in ddl.columns]
    columns.append(f"{partition} {_TRINO_TYPES[kind]} WITH ({', '.join(options)})")
    table = [
        f"external_location = '{ddl.location}'",
        f"format = '{ddl.form}'",
        f"partitioned_by = ARRAY['{partition}']",
        f"partition_projection_enabled = {ddl.properties['projection.enabled']}",
        f"partition_projection_location_template = '{ddl.properties['storage.location.template']}'",
    ]
    separator = ",\n  "
    return f"CREATE TABLE {ddl.name} (\n  {separator.join(columns)}\n) WITH (\n  {separator.join(table)}\n)"


def said(ddl: TableDdl) -> dict[str, object]:
    """Return what a statement says, as it can be compared with what is stored."""
    return {
        "columns": ddl.columns,
        "partitions": ddl.partitions,
        "location": ddl.location.rstrip("/"),
        "form": ddl.form,
        "external": True,
        "properties": _comparable(ddl.properties),
    }


def stored(document: dict[str, Any]) -> dict[str, object]:
    """Return the same of the document in which Trino keeps a table: Hive's types, Athena's own property names."""
    parameters = document["parameters"]
    kept = {key: value for key, value in parameters.items() if key.startswith(("projection.", "storage."))}
    return {
        "columns": [(column["name"], column["type"]) for column in document["dataColumns"]],
        "partitions": [(column["name"], column["type"]) for column in document["partitionColumns"]],
        "location": document["externalLocation"].rstrip("/"),
        "form": document["storageFormat"],
        "external": document["tableType"] == "EXTERNAL_TABLE" and parameters.get("EXTERNAL") == "TRUE",
        "properties": _comparable(kept),
    }


def _comparable(properties: dict[str, str]) -> dict[str, str]:
    """Return properties without differences that mean nothing: case of the unit, a slash at the end."""
    found = {key: value.lower() if key.endswith("interval.unit") else value for key, value in properties.items()}
    found["storage.location.template"] = found.get("storage.location.template", "").rstrip("/")
    return found
