"""Options, variables and what a data folder remembers, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.local.config import (
    Facts,
    Options,
    StackError,
    decide,
    read_record,
    replace_json,
    write_record,
)

HERE = Path("/data")


def test_defaults() -> None:
    config = decide(Options(data_dir=HERE), {}, None)

    assert config.facts == Facts(
        partitions=4, shards=1, day="event", format="parquet", lake="s3://watchtime", own_s3=True
    )
    assert (config.workers, config.sink_workers, config.refresh_s) == (1, 1, 10.0)
    assert (config.group, config.client_table, config.gateway_port) == ("watchtime", "off", None)
    assert (config.bucket, config.runs_s3) == ("watchtime", True)


def test_options_win_over_variables_and_variables_over_defaults() -> None:
    environ = {"STREAMS_PARTITIONS": "8", "STREAMS_SHARDS": "2", "SINKS_REFRESH_S": "3", "SINKS_FORMAT": "jsonl"}

    config = decide(Options(data_dir=HERE, partitions=16), environ, None)

    assert (config.facts.partitions, config.facts.shards) == (16, 2)
    assert (config.refresh_s, config.facts.format) == (3.0, "jsonl")


def test_what_is_recorded_wins_over_defaults() -> None:
    recorded = Facts(partitions=8, shards=4, day="local", format="jsonl", lake="file:///lake")

    assert decide(Options(data_dir=HERE), {}, recorded).facts == recorded


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        ({"partitions": 5}, {}, "--partitions 4, now 5"),
        ({"shards": 2}, {}, "--shards 1, now 2"),
        ({"lake": "file:///elsewhere"}, {}, "--lake s3://watchtime, now file:///elsewhere"),
        ({}, {"STREAMS_DAY": "local"}, "STREAMS_DAY event, now local"),
        ({}, {"SINKS_FORMAT": "jsonl"}, "SINKS_FORMAT parquet, now jsonl"),
        ({}, {"STREAMS_PARTITIONS": "5"}, "--partitions 4, now 5"),
    ],
)
def test_another_wish_than_what_is_recorded_is_refused(options: dict, environ: dict, words: str) -> None:
    with pytest.raises(StackError, match=f"{words} is asked for.*--data-dir"):
        decide(Options(data_dir=HERE, **options), environ, Facts())


def test_the_same_wish_again_is_no_change() -> None:
    assert decide(Options(data_dir=HERE, partitions=4), {"STREAMS_DAY": "event"}, Facts()).facts == Facts(own_s3=True)


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        ({"partitions": 0}, {}, "--partitions is 0"),
        ({"shards": -1}, {}, "--shards is -1"),
        ({"refresh_s": -1}, {}, "--refresh-s is -1"),
        ({"lake": "/lake"}, {}, "--lake is '/lake', expected"),
        ({"lake": "file://lake"}, {}, "--lake is 'file://lake', expected"),
        ({}, {"STREAMS_SHARDS": "two"}, "STREAMS_SHARDS is 'two', expected a whole number"),
    ],
)
def test_impossible_wishes_are_named(options: dict, environ: dict, words: str) -> None:
    with pytest.raises(StackError, match=words):
        decide(Options(data_dir=HERE, **options), environ, None)


def test_a_folder_lake_runs_no_s3() -> None:
    config = decide(Options(data_dir=HERE, lake="file:///lake"), {}, None)

    assert (config.bucket, config.runs_s3) == ("", False)


def test_a_store_outside_is_used_when_an_endpoint_is_named() -> None:
    config = decide(Options(data_dir=HERE, lake="s3://theirs/prefix"), {"SINKS_S3_ENDPOINT": ""}, None)

    assert (config.bucket, config.runs_s3, config.outer_s3_endpoint) == ("theirs", False, "")


AWS = {"SINKS_S3_ENDPOINT": ""}
ELSEWHERE = {"SINKS_S3_ENDPOINT": "http://store:9000"}


@pytest.mark.parametrize(
    ("own_s3", "environ", "words"),
    [
        (True, AWS, "own S3 server, now SINKS_S3_ENDPOINT asks for another"),
        (True, ELSEWHERE, "own S3 server, now SINKS_S3_ENDPOINT asks for another"),
        (False, {}, "a store outside the stack, now SINKS_S3_ENDPOINT is not set"),
    ],
)
def test_a_bucket_of_the_same_name_elsewhere_is_another_lake(*, own_s3: bool, environ: dict, words: str) -> None:
    with pytest.raises(StackError, match=words):
        decide(Options(data_dir=HERE), environ, Facts(lake="s3://prod", own_s3=own_s3))


@pytest.mark.parametrize("environ", [AWS, ELSEWHERE])
def test_a_store_outside_may_move_to_another_address(environ: dict) -> None:
    assert decide(Options(data_dir=HERE), environ, Facts(lake="s3://prod", own_s3=False)).runs_s3 is False


@pytest.mark.parametrize(("environ", "own_s3"), [({}, True), (AWS, False)])
def test_what_an_older_release_did_not_record_is_recorded_at_the_next_start(*, environ: dict, own_s3: bool) -> None:
    assert decide(Options(data_dir=HERE), environ, Facts(lake="s3://prod")).facts.own_s3 is own_s3


@pytest.mark.parametrize("environ", [{}, AWS])
def test_a_folder_needs_no_store_whatever_the_variables_say(environ: dict) -> None:
    recorded = Facts(lake="file:///lake")

    assert decide(Options(data_dir=HERE), environ, recorded).facts == recorded


def test_the_record_is_read_as_written(tmp_path: Path) -> None:
    assert read_record(tmp_path) == (None, {})

    write_record(tmp_path, Facts(partitions=7), {"kafka": 19092})

    assert read_record(tmp_path) == (Facts(partitions=7), {"kafka": 19092})


def test_a_record_of_a_newer_version_is_not_guessed_at(tmp_path: Path) -> None:
    replace_json(tmp_path / "stack.json", {"version": 2})

    with pytest.raises(StackError, match="newer Watchtime"):
        read_record(tmp_path)


def test_files_with_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    replace_json(tmp_path / "endpoints.json", {"secret_key": "x"})

    assert (tmp_path / "endpoints.json").stat().st_mode & 0o077 == 0


def test_options_survive_the_way_to_another_process() -> None:
    options = Options(data_dir=HERE, workers=3, refresh_s=0.5, stages=("kafka", "s3"))

    assert Options.from_json(options.to_json()) == options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "--workers is 0"),
        ({"sink_workers": 0}, "--sink-workers is 0"),
        ({"refresh_s": 0.0}, "--refresh-s is 0"),
        ({"refresh_s": float("nan")}, "--refresh-s is nan"),
    ],
)
def test_nothing_is_not_taken_for_not_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(StackError, match=said):
        decide(Options(data_dir=HERE, **options), {}, None)


def test_a_refresh_time_that_is_no_number_is_named() -> None:
    with pytest.raises(StackError, match="SINKS_REFRESH_S is 'soon'"):
        decide(Options(data_dir=HERE), {"SINKS_REFRESH_S": "soon"}, None)
