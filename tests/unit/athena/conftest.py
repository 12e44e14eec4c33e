"""The sample as a lake in a folder, opened in DuckDB, in each shape that a lake can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from athena.local import connect
from sinks.keys import Format
from sinks.lake import Lake
from tests.athena.sample import Sample, objects, sample
from tests.lakes import write


@pytest.fixture(scope="session", name="data")
def _data() -> Sample:
    return sample()


@pytest.fixture(scope="session", params=[("parquet", 1), ("parquet", 8), ("jsonl", 1)], ids=lambda p: f"{p[0]}-{p[1]}")
def lake(
    request: pytest.FixtureRequest, data: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    root: Path = tmp_path_factory.mktemp("lake")
    form: Format
    form, shards = request.param
    write(root, objects(data, form, shards))
    with connect(Lake(url=root.as_uri())) as connection:
        yield connection
