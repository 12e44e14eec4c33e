from __future__ import annotations

import uuid

import pytest

from sinks.keys import ChunkKey, FileKey, chunk_prefix, day_folder, topic8


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            FileKey("video_daily", "2026-11-24", 0, 1, "parquet"),
            "analytics/video_daily/dt=2026-11-24/data.parquet",
        ),
        (
            FileKey("hour_daily", "2026-11-24", 3, 8, "parquet"),
            "analytics/hour_daily/dt=2026-11-24/part-00003-of-00008.parquet",
        ),
        (FileKey("ingest_daily", "2026-11-24", 0, 1, "jsonl"), "analytics/ingest_daily/dt=2026-11-24/data.jsonl"),
        (
            FileKey("client_daily", "2026-11-24", 0, 2, "jsonl"),
            "analytics/client_daily/dt=2026-11-24/part-00000-of-00002.jsonl",
        ),
    ],
)
def test_a_file_key_is_built_and_read_back(key, text):
    assert key.encode() == text
    assert FileKey.parse(text) == key


def test_a_chunk_key_is_built_and_read_back():
    key = ChunkKey("2026-01-02", "watch.events", "0123abcd", 11, 42)
    text = "raw/2026/01/02/watch.events-0123abcd-11-00000000000000000042.ndjson.gz"

    assert key.encode() == text
    assert ChunkKey.parse(text) == key
    assert text.startswith(day_folder("2026-01-02") + chunk_prefix("watch.events", "0123abcd", 11))
    assert not text.startswith(day_folder("2026-01-02") + chunk_prefix("watch.events", "0123abcd", 1))


@pytest.mark.parametrize(
    "other",
    [
        "analytics/_layout.json",
        "analytics/video_daily/dt=2026-11-24/data.csv",
        "analytics/video_daily/dt=2026-11-24/x/data.parquet",
        "raw/2026/01/02/firehose-1-2026-01-02-00-00-00-abc",
        "raw/2026/01/02/watch.events-0123abcd-11-42.ndjson.gz",
        "",
    ],
)
def test_keys_of_others_are_not_taken_for_ours(other):
    assert FileKey.parse(other) is None
    assert ChunkKey.parse(other) is None


def test_eight_digits_of_the_topic_id_are_shown():
    assert topic8(uuid.UUID("ebb26b0a-d9a1-4b6e-8752-bd627456f39e")) == "ebb26b0a"
