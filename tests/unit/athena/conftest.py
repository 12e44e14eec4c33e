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
    for key, body in objects(data, form, shards).items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    with connect(Lake(url=root.as_uri())) as connection:
        yield connection
