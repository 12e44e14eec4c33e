"""The files that a running stack wrote, read by Trino: row by row against the oracle of what was acknowledged."""

from __future__ import annotations

import os
from collections import Counter, defaultdict

import pytest

from athena.questions import question
from deploy.local.s3 import Keys, client
from sinks.keys import Format
from sinks.lake import Lake, lake_of
from streams.contract.days import shift_dt
from streams.contract.rows import TABLES
from tests import oracle, proof
from tests.athena.conftest import Shape, TrinoLake
from tests.athena.engine import Engine
from tests.servers import S3Address
from tests.stacks import StackFactory

EVENTS = 3_000


def copy(lake: Lake, trino: TrinoLake) -> None:
    """Copy a stack's lake, object by object."""
    source = client(lake.s3_endpoint, Keys(access_key=lake.access_key, secret_key=lake.secret_key))
    bucket = lake.url.removeprefix("s3://")
    for page in source.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page["Contents"]:
            trino.put(entry["Key"], source.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_trino_reads_what_the_stack_wrote(form: Format, stack: StackFactory, engine: Engine, s3: S3Address) -> None:
    running = stack("--shards", "3", environ={"SINKS_FORMAT": form, "STREAMS_CLIENT_TABLE": "on"})
    _, acknowledged = proof.post(
        running, "--events", str(EVENTS), "--clients", "50", "--batch", "20", "--rate", "1000", "--repeat", "0.05"
    )
    expected = oracle.fold(acknowledged, client_table=True)
    proof.reconcile_all(running, expected.days[-1:])
    trino = TrinoLake(engine, s3, Shape(form, 3), folder=f"stack_{form}", first_day=shift_dt(min(expected.days), -1))
    copy(lake_of(running.data_dir, os.environ), trino)
    trino.make()

    found: proof.Rows = defaultdict(list)
    for table in TABLES:
        answer = trino.ask(f"SELECT {', '.join(table.columns)} FROM {table.name}")  # noqa: S608 - our own names
        for cells in answer.rows:
            row = dict(zip(table.columns, cells, strict=True))
            found[table.name, row["dt"]].append(row)
    agreement = trino.ask(question("tables_agree").sql({}, today=max(expected.days))).rows
    archived = trino.ask("SELECT count(*), count(DISTINCT event_id) FROM events").rows

    assert proof.differences(expected, found) == []
    assert Counter(row[-1] for row in agreement).keys() == {"agrees"}
    assert archived[0][1] == EVENTS
    assert archived[0][0] >= EVENTS
