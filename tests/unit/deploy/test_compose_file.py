"""The compose file, its settings and its images, read as data: rules that hold without an engine."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import broker
from deploy.local.cache import VERSITYGW_VERSION, kafka_version
from tests.athena import engine
from tests.image_programs import IMAGES, program

ROOT = Path(__file__).parents[3]
FILE = (ROOT / "docker-compose.yml").read_text()
ONE_SHOT = {"owner", "setup", "tables"}


def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(FILE)["services"]


def settings() -> dict[str, str]:
    lines = [line for line in (ROOT / ".env").read_text().splitlines() if line and not line.startswith("#")]
    assert max(Counter(line.partition("=")[0] for line in lines).values()) == 1
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("name", services())
def test_every_service_is_held_tight(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert "test" in service.get("healthcheck", {}) or "watchtime/Dockerfile" in str(service.get("build"))
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    if name == "owner":
        assert service["cap_add"] == ["CHOWN"]
        assert service["network_mode"] == "none"
    else:
        assert "cap_add" not in service
        assert not str(service.get("user", "1")).startswith("0")
        assert "privileged" not in service


@pytest.mark.parametrize("name", services())
def test_what_is_mounted_is_there(name: str) -> None:
    """The engine would make an empty folder in the place of a file that is not."""
    mounted = [entry.split(":")[0] for entry in services()[name].get("volumes", []) if entry.startswith("./")]

    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_the_gateway_is_reached_on_loopback_only() -> None:
    """It listens without tokens inside; so its port must be published on 127.0.0.1 by no setting but this line."""
    gateway = services()["gateway"]

    assert gateway["environment"]["GATEWAY_OPEN_BIND"] == "on"
    assert gateway["ports"] == ["127.0.0.1:${GATEWAY_PORT}:4000"]


def test_the_gateway_and_the_sinks_have_one_lake() -> None:
    gateway, sinks = (services()[name]["environment"] for name in ("gateway", "sinks"))

    assert gateway["GATEWAY_LAKE"] == sinks["SINKS_LAKE"]
    assert gateway["GATEWAY_S3_ENDPOINT"] == sinks["SINKS_S3_ENDPOINT"]
    # It may have other keys, and has the same ones where nothing is said.
    keys = [name for name in sinks if name.startswith("AWS_")]
    own = {name: f"${{GATEWAY_{name}:-{sinks[name]}}}" for name in keys if "KEY" in name}
    assert {name: gateway[name] for name in keys} == {name: sinks[name] for name in keys} | own


def test_each_setting_is_there_and_used() -> None:
    used = set(re.findall(r"\$\{(\w+)", FILE + (ROOT / "docker-compose.build.yml").read_text()))

    assert used == settings().keys() - {"COMPOSE_FILE"}


def test_images_are_pinned_to_the_versions_that_are_tested() -> None:
    told = settings()

    assert told["KAFKA_IMAGE"] == f"apache/kafka:{kafka_version()}"
    assert told["S3_IMAGE"] == f"versity/versitygw:{VERSITYGW_VERSION}"
    assert told["TRINO_IMAGE"] == f"trinodb/trino:{engine.VERSION}"
    for name, value in told.items():
        if name.endswith("_IMAGE"):
            assert re.search(r":(v?\d[\w.]*|bookworm-slim)$", value), name
    built = (ROOT / "docker-compose.build.yml").read_text()
    assert f"watchtime/kafka:{kafka_version()}" in built
    assert f"watchtime/versitygw:{VERSITYGW_VERSION}" in built
    assert f"ARG VERSITYGW={VERSITYGW_VERSION}\n" in (IMAGES / "s3/Dockerfile").read_text()
    assert f"ARG TRINO={engine.VERSION}\n" in (IMAGES / "trino/Dockerfile").read_text()


def test_the_broker_is_set_as_the_local_one() -> None:
    lines = (IMAGES / "kafka/server.properties").read_text().splitlines()
    there = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    place = broker.BrokerPlace(folder=Path("/x"), port=1, controller_port=2)
    addresses = {"controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map"}
    apart = addresses | {"log.dirs"}

    local = {name: value for name, value in broker.properties(place).items() if name not in apart}
    assert {name: value for name, value in there.items() if name not in apart} == local


def test_trino_knows_every_daily_table() -> None:
    made = program("trino/tables.py").statements((IMAGES / "trino/tables.sql").read_text(), {"LAKE": "s3://b/p/"})
    tables = {name: text for text in made if (name := re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", text))}

    assert made[0] == "CREATE SCHEMA IF NOT EXISTS lake.default"
    assert {match[1] for match in tables} == {"video_daily", "channel_daily", "hour_daily", "ingest_daily"}
    assert all("{{" not in text and "format = 'PARQUET'" in text for text in tables.values())
    assert all(f"s3://b/p/analytics/{match[1]}/" in text for match, text in tables.items())


def test_a_stage_is_healthy_when_it_says_so() -> None:
    ready = program("watchtime/healthy.py").ready

    assert ready('# HELP x\nwatchtime_ready{stage="sinks"} 1.0\n')
    assert not ready('watchtime_ready{stage="sinks"} 0.0\n')
    assert not ready("")


def test_the_first_word_names_what_a_container_runs() -> None:
    run = program("watchtime/run.py")

    assert run.command(["streams"]) == ["python", "-P", "-m", "streams"]
    assert run.command(["watchtime", "topics"]) == ["watchtime", "topics"]
    assert run.variables(["sinks"], "c0ffee") == {"SINKS_INSTANCE": "c0ffee"}
    assert run.variables(["gateway"], "c0ffee") == {}


def test_an_image_is_given_what_every_extra_needs() -> None:
    project = {"dependencies": ["a>=1"], "optional-dependencies": {"x": ["b", "a>=1"], "all": ["own[x]"]}}

    assert program("watchtime/requirements.py").requirements(project, "own") == ["a>=1", "b"]


def test_a_debian_package_is_a_component() -> None:
    part = program("watchtime/materials.py").debian_component(
        "Package: libc6\nVersion: 2.36-9+deb12u14\nArchitecture: amd64\n"
    )

    assert part["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=bookworm"
