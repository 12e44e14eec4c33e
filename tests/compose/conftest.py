"""The stack of docker-compose.yml, built once and started for the tests of this folder. Run by `make compose-test`."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.cache import Cache
from tests.compose.composed import ROOT, Composed
from tests.compose.engine import Engine, NoEngineError, answers
from tests.compose.images import provide_base
from tests.compose.tools import compose

HOST_VARIABLE = "WATCHTIME_ENGINE"
OWN_VARIABLE = "WATCHTIME_ENGINE_OWN"
REASON_VARIABLE = "WATCHTIME_NO_ENGINE"
KEPT_VARIABLE = "WATCHTIME_COMPOSE_IMAGES_KEPT"
BUILD_TIMEOUT_S = 3_600


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that `make compose-test` found or started."""
    host = os.environ.get(HOST_VARIABLE, "")
    if not host or not answers(host):
        pytest.skip(
            os.environ.get(REASON_VARIABLE) or "needs a container engine: `make compose-test` finds or starts one"
        )
    return Engine(host=host, own=OWN_VARIABLE in os.environ)


@pytest.fixture(scope="session")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The project with its images: the official ones if they can be pulled, else built from package registries."""
    cache = Cache.from_env(os.environ)
    folder = tmp_path_factory.mktemp("compose")
    try:
        program = compose(cache)
        files = [ROOT / "docker-compose.yml"]
        one = Composed(program=program, engine=engine, name=f"watchtime-{uuid.uuid4().hex[:6]}", files=files)
        if one.run("pull", "--quiet", "kafka", "s3", check=False).returncode:
            print("images: none can be pulled, so they are built from package registries")
            print(f"base image: {provide_base(one.client(), cache)}")
            one.files = [*files, ROOT / "docker-compose.build.yml", *trino_from(cache, folder)]
            build(one, "kafka", "s3")
        build(one, "gateway")
    except NoEngineError as error:
        pytest.skip(str(error))
    yield one
    one.down("--volumes")


def build(project: Composed, *services: str) -> None:
    """Build images, unless those of an earlier run are to do, as while one writes these tests."""
    if KEPT_VARIABLE in os.environ:
        print(f"images of {', '.join(services)}: as they are ({KEPT_VARIABLE} is set)")
        return
    began = time.monotonic()
    if project.run("build", *services, timeout_s=BUILD_TIMEOUT_S, check=False).returncode:
        # An engine that was killed may have left a cache that names layers which are gone.
        print("the build failed: once more, without what earlier builds left")
        if project.engine.own:
            project.client().api.prune_builds(all=True)
        project.run("build", "--no-cache", *services, timeout_s=BUILD_TIMEOUT_S)
    print(f"images of {', '.join(services)}: built in {time.monotonic() - began:.0f} s")


def trino_from(cache: Cache, folder: Path) -> list[Path]:
    """Return a file that lets Trino run from this machine's cache, where it and its Java are: it is 800 MB to fetch."""
    from tests.athena.engine import home, java_home  # noqa: PLC0415 - only here

    server, java = home(cache), java_home()
    if not server.exists() or java is None:
        return []
    file = folder / "trino.yml"
    file.write_text(f"""\
services:
  trino:
    image: debian:bookworm-slim
    build: !reset null
    environment: {{JAVA_HOME: /opt/java, PATH: "/opt/java/bin:/usr/bin:/bin"}}
    volumes: ["{server}:/usr/lib/trino:ro", "{java}:/opt/java:ro"]
""")
    return [file]


@pytest.fixture(scope="session")
def stack(project: Composed) -> Composed:
    """The project, up and healthy."""
    print(f"up: every service healthy after {project.up():.0f} s")
    return project
