from __future__ import annotations

import pytest

from sinks.settings import Settings
from streams.variables import SettingsError

LAKE = {"SINKS_LAKE": "s3://lake/x"}


def test_defaults_are_those_of_a_local_stack():
    assert Settings.from_env(LAKE) == Settings(
        lake="s3://lake/x",
        s3_endpoint="",
        bootstrap_servers="127.0.0.1:9092",
        group="watchtime",
        form="parquet",
        refresh_s=10.0,
        instance="",
        session_timeout_ms=8_000,
        client_table=False,
        metrics_host="127.0.0.1",
        metrics_port=0,
    )


def test_every_setting_has_its_variable():
    environ = {
        "SINKS_LAKE": "file:///lake",
        "SINKS_S3_ENDPOINT": "http://127.0.0.1:7070",
        "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
        "WATCHTIME_GROUP": "g",
        "SINKS_FORMAT": "jsonl",
        "STREAMS_DAY": "local",
        "SINKS_REFRESH_S": "0.5",
        "SINKS_INSTANCE": "sinks-0",
        "SINKS_SESSION_TIMEOUT_MS": "6000",
        "STREAMS_CLIENT_TABLE": "on",
        "SINKS_METRICS_HOST": "127.0.0.2",
        "SINKS_METRICS_PORT": "9000",
    }

    assert Settings.from_env(environ) == Settings(
        lake="file:///lake",
        s3_endpoint="http://127.0.0.1:7070",
        bootstrap_servers="a:1,b:2",
        group="g",
        form="jsonl",
        day_rule="local",
        refresh_s=0.5,
        instance="sinks-0",
        session_timeout_ms=6_000,
        client_table=True,
        metrics_host="127.0.0.2",
        metrics_port=9_000,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SINKS_LAKE", ""),
        ("SINKS_FORMAT", "csv"),
        ("STREAMS_DAY", "lunar"),
        ("SINKS_REFRESH_S", "0"),
        ("SINKS_REFRESH_S", "-1"),
        ("SINKS_REFRESH_S", "nan"),
        ("SINKS_REFRESH_S", "inf"),
        ("SINKS_REFRESH_S", "soon"),
        ("SINKS_SESSION_TIMEOUT_MS", "999"),
        ("SINKS_METRICS_PORT", "65536"),
        ("SINKS_METRICS_PORT", "²"),
        ("STREAMS_CLIENT_TABLE", "yes"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env(LAKE | {name: value})


def test_a_blank_variable_asks_for_nothing():
    """Above all not for every address of the machine, nor for a group without a name."""
    settings = Settings.from_env(LAKE | {"SINKS_METRICS_HOST": " ", "WATCHTIME_GROUP": ""})
    assert (settings.metrics_host, settings.group) == ("127.0.0.1", "watchtime")
