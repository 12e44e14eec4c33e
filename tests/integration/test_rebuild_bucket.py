"""Rebuilding over S3: the lake in one bucket, the pipeline before it in another."""

from __future__ import annotations

import gzip

import boto3
import orjson
import pytest

from sinks.lake import Lake
from sinks.rebuild_sources import NoSourceError
from tests.integration.rebuilding import rebuild
from tests.lakes import DAYS, NOW, files, watched_lake

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(s3, aws, monkeypatch):
    """The own lake; other buckets are found by boto3's own variables, as a user of a cloud has them."""
    aws(s3.keys)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    return Lake(
        url=f"s3://{s3.bucket()}/some/prefix",
        s3_endpoint=s3.endpoint,
        access_key=s3.keys.access_key,
        secret_key=s3.keys.secret_key,
    )


async def test_a_day_in_a_bucket_is_rebuilt_byte_for_byte(lake, tmp_path):
    store = lake.store()
    await watched_lake(form="parquet").write(store)
    before = await files(store)

    outcome = await rebuild(tmp_path, DAYS[0], lake=lake)

    assert before == await files(store)
    assert (outcome.differing, len(outcome.written)) == (0, 4)


async def test_another_bucket_is_read_with_the_credentials_of_the_environment(lake, s3, tmp_path):
    other = s3.bucket()
    event = {"event_type": "watch_tick", "event_ts": NOW - 86_400_000, "tab_id": "t", "video_id": "v"}
    body = gzip.compress(orjson.dumps({**event, "watch_ms_delta": 1_000}) * 3)
    boto3.client("s3").put_object(Bucket=other, Key="raw/2026/01/05/08/delivery.gz", Body=body)

    outcome = await rebuild(tmp_path, DAYS[0], f"s3://{other}", lake=lake)

    assert (outcome.events, outcome.objects) == (3, 1)


async def test_another_bucket_of_the_own_server_needs_no_environment(lake, s3, tmp_path, monkeypatch):
    other = s3.bucket()
    boto3.client("s3").put_object(Bucket=other, Key="raw/2026/01/05/08/delivery", Body=b"{}")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    outcome = await rebuild(tmp_path, DAYS[0], f"s3://{other}", lake=lake)

    assert outcome.objects == 1


async def test_a_bucket_that_is_not_there_is_named(lake, tmp_path):
    with pytest.raises(NoSourceError, match="not-there"):
        await rebuild(tmp_path, DAYS[0], "s3://not-there", lake=lake)
