"""Trino over the local S3 server, with the sample in each shape that a lake can have: one schema for each shape."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from athena.statements import TABLES_FILE, VIEWS_FILE, filled, statements
from deploy.local.cache import Cache
from deploy.local.s3 import client
from sinks.keys import Format
from tests.athena.engine import JAVA_VERSION, Engine, Result, home, java_home
from tests.athena.mapping import parse, trino_ddl
from tests.athena.sample import FIRST_DAY, Sample, objects, sample
from tests.servers import S3Address, unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "athena-proof"


@dataclass(frozen=True)
class Shape:
    """Format and shards of a lake; its name is the schema's and the folder's in the bucket."""

    form: Format
    shards: int

    @property
    def name(self) -> str:
        return f"{self.form}_{self.shards}"


SHAPES = (Shape("parquet", 1), Shape("parquet", 8), Shape("jsonl", 1))


@dataclass
class TrinoLake:
    """One lake, in Trino and as objects."""

    engine: Engine
    s3: S3Address
    shape: Shape
    #: Name of the schema, and of the lake's folder in the bucket; empty: the shape's.
    folder: str = ""
    first_day: str = FIRST_DAY

    @property
    def name(self) -> str:
        return self.folder or self.shape.name

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{self.name}"

    @property
    def values(self) -> dict[str, str]:
        return {
            "lake": self.url,
            "reference": self.url,
            "first_day": self.first_day,
            "first_raw_day": self.first_day.replace("-", "/"),
            "last_day": "NOW",
        }

    def ask(self, statement: str) -> Result:
        self.engine.schema = self.name
        return self.engine.ask(statement)

    def put(self, key: str, body: bytes) -> None:
        self._objects.put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=body)

    def remove(self, key: str) -> None:
        self._objects.delete_object(Bucket=BUCKET, Key=f"{self.name}/{key}")

    def metadata(self, table: str) -> bytes:
        """Return what Trino wrote down about a table."""
        return self._objects.get_object(Bucket=BUCKET, Key=self._metadata_key(table))["Body"].read()

    def set_metadata(self, table: str, document: dict[str, Any]) -> None:
        """Write it anew."""
        body = json.dumps(document).encode()
        self._objects.put_object(Bucket=BUCKET, Key=self._metadata_key(table), Body=body)

    def _metadata_key(self, table: str) -> str:
        return f"_metastore/{self.name}/{table}/.trinoSchema"

    @functools.cached_property
    def _objects(self) -> S3Client:
        return client(self.s3.endpoint, self.s3.keys)

    def make(self) -> None:
        """Make the schema, the tables and the views that tables.sql and views.sql say."""
        self.ask(f"CREATE SCHEMA {self.name}")
        for table in statements(TABLES_FILE.read_text()):
            if table.section in (self.shape.form, "raw"):
                self.ask(trino_ddl(parse(filled(table.text, self.values))))
        for view in statements(VIEWS_FILE.read_text()):
            self.ask(view.text)


@pytest.fixture(scope="session", name="java")
def _java() -> Path:
    found = java_home()
    if found is None:
        unavailable(f"no Java {JAVA_VERSION} or newer: name one by WATCHTIME_TRINO_JAVA_HOME")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def server() -> Path:
    """The unpacked Trino."""
    found = home(Cache.from_env(os.environ))
    if not found.exists():
        unavailable("Trino is not downloaded: run `make athena-test`")
    return found


@pytest.fixture(scope="session", name="data")
def _data() -> Sample:
    return sample()


@pytest.fixture(scope="session")
def engine(server: Path, java: Path, s3: S3Address, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    s3.server.make_bucket(BUCKET)
    made = Engine(folder=tmp_path_factory.mktemp("trino"), s3_endpoint=s3.endpoint, keys=s3.keys, bucket=BUCKET)
    try:
        made.start(server, java)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def lakes(engine: Engine, s3: S3Address, data: Sample) -> dict[str, TrinoLake]:
    """Every shape of lake, by name, with the sample in it."""
    found = {}
    for shape in SHAPES:
        lake = TrinoLake(engine, s3, shape)
        for key, body in objects(data, shape.form, shape.shards).items():
            lake.put(key, body)
        lake.make()
        found[shape.name] = lake
    return found


@pytest.fixture(params=[shape.name for shape in SHAPES])
def lake(request: pytest.FixtureRequest, lakes: dict[str, TrinoLake]) -> TrinoLake:
    return lakes[request.param]


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests out of quick runs: starting the engine takes half a minute and 1.5 GB."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("slow")
            item.add_marker(pytest.mark.timeout(900))
