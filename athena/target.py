"""What Athena must have for a lake: a workgroup, a database, the tables of one format and the views. Pure.

From the SQL files and a few choices comes the list of things to make; `athena` makes them, `watchtime athena plan`
prints them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from athena.statements import TABLES_FILE, VIEWS_FILE, Statement, filled, statements
from sinks.keys import FORMATS
from streams.contract.days import day_start_ms, dt_of_ms

#: Table property that says from which definition a table was made.
DEFINITION: Final = "watchtime.definition"
ENGINE: Final = "Athena engine version 3"
#: Athena takes no lower limit than this.
MIN_SCAN_LIMIT: Final = 10_000_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,127}")
_WORKGROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LAKE: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/'{}]+)*")
_KMS_KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
_LAST_DAY: Final = re.compile(r"NOW(\+\d{1,2}DAYS?)?|\d{4}-\d{2}-\d{2}")


class TargetError(Exception):
    """A choice cannot be used; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The choices."""

    #: s3://bucket[/prefix]
    lake: str
    #: parquet or jsonl, as the lake was begun.
    format: str = "parquet"
    #: First day that has data: Athena looks into every day from here on.
    first_day: str
    #: NOW, or NOW+1DAYS where days are local ones.
    last_day: str = "NOW"
    database: str = "watchtime"
    workgroup: str = "watchtime"
    #: Where Athena puts results: s3://bucket/prefix/; empty: athena-results/ beside the lake's folders.
    results: str = ""
    #: ARN of the KMS key that results are encrypted with; empty: S3's own key.
    results_key: str = ""
    #: The replaced pipeline's bucket; empty: none.
    reference: str = ""
    #: Bytes that one query may read.
    scan_limit: int = 100_000_000_000

    def __post_init__(self) -> None:
        """Refuse what would become a statement that says something else."""
        checks = [
            ("lake", _LAKE.fullmatch(self.lake), "s3://bucket or s3://bucket/prefix, no slash at the end"),
            ("format", self.format in FORMATS, " or ".join(FORMATS)),
            ("first_day", _is_day(self.first_day), "a day, 2026-11-01"),
            ("last_day", _LAST_DAY.fullmatch(self.last_day), "NOW, NOW+1DAYS or a day"),
            ("database", _NAME.fullmatch(self.database), "small letters, digits and _"),
            ("workgroup", _WORKGROUP.fullmatch(self.workgroup), "letters, digits and . _ -"),
            ("results", not self.results or _LAKE.fullmatch(self.results.rstrip("/")), "s3://bucket/prefix/"),
            (
                "results_key",
                not self.results_key or _KMS_KEY.fullmatch(self.results_key),
                "arn:aws:kms:…:key/…",
            ),
            ("reference", not self.reference or _LAKE.fullmatch(self.reference), "s3://bucket or s3://bucket/prefix"),
            ("scan_limit", self.scan_limit >= MIN_SCAN_LIMIT, f"{MIN_SCAN_LIMIT} bytes or more"),
        ]
        for name, good, shape in checks:
            if not good:
                raise TargetError(f"{name} is {getattr(self, name)!r}; it must be {shape}")

    @property
    def results_folder(self) -> str:
        """Where results go, with a slash at the end."""
        return (self.results.rstrip("/") or f"{self.lake}/athena-results") + "/"

    @property
    def values(self) -> Mapping[str, str]:
        """Return what the placeholders of tables.sql stand for."""
        return {
            "lake": self.lake,
            "reference": self.reference,
            "first_day": self.first_day,
            "first_raw_day": self.first_day.replace("-", "/"),
            "last_day": self.last_day.replace("-", "/") if self.last_day[0].isdigit() else self.last_day,
        }


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A table with the statement that makes it, and a mark that changes when the statement does."""

    name: str
    text: str
    mark: str


def tables(target: Target) -> list[Definition]:
    """Return the tables, each marked with its definition."""
    sections = {target.format, "raw"} | ({"reference"} if target.reference else set())
    return [
        _marked(one, filled(one.text, _values_of(target, one)))
        for one in statements(TABLES_FILE.read_text())
        if one.section in sections
    ]


def views() -> list[Statement]:
    """Return the views, in an order in which each finds those that it needs."""
    return statements(VIEWS_FILE.read_text())


def workgroup_configuration(target: Target) -> dict[str, Any]:
    """Return the workgroup's configuration as Athena's API takes it."""
    encryption = {"EncryptionOption": "SSE_S3"}
    if target.results_key:
        encryption = {"EncryptionOption": "SSE_KMS", "KmsKey": target.results_key}
    return {
        "ResultConfiguration": {
            "OutputLocation": target.results_folder,
            "EncryptionConfiguration": encryption,
        },
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "BytesScannedCutoffPerQuery": target.scan_limit,
        "RequesterPaysEnabled": False,
        "EngineVersion": {"SelectedEngineVersion": ENGINE},
    }


def _values_of(target: Target, statement: Statement) -> dict[str, str]:
    # A last day that is a date has another form in the partitions of raw.
    values = dict(target.values)
    if statement.section != "raw":
        values["last_day"] = target.last_day
    return values


def _marked(statement: Statement, text: str) -> Definition:
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    with_mark = f"{text.removesuffix(')').rstrip()},\n  '{DEFINITION}' = '{mark}'\n)"
    return Definition(name=statement.name, text=with_mark, mark=mark)


def _is_day(value: str) -> bool:
    try:
        return dt_of_ms(day_start_ms(value)) == value
    except ValueError:
        return False
