"""A lake that cannot be opened is an answer of the page, not a failure of the gateway."""

from __future__ import annotations

import pytest

from gateway.lake_store import LakeError, open_lake


def test_an_endpoint_that_is_no_url_is_named():
    with pytest.raises(LakeError, match="s3://bucket/analytics/ at minio:9000"):
        open_lake("s3://bucket", "minio:9000")


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    with pytest.raises(LakeError, match="of-nobody"):
        open_lake("s3://bucket", "")
