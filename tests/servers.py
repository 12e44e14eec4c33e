"""Real servers for tests: Kafka brokers and S3 servers, each on free loopback ports and in a temporary folder.

Loaded as a plugin by tests/conftest.py. A test that needs a program this machine lacks is skipped with one line, or
fails where WATCHTIME_TESTS_COMPLETE is set (as in CI), so that a green run there means that everything ran.
WATCHTIME_TEST_SERVERS=containers takes the servers from containers (tests/containers.py); the default is `embedded`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.broker import QUICK_START, LocalBroker
from deploy.local.cache import Cache
from deploy.local.s3 import Keys, LocalS3, client
from streams.provision import provision

COMPLETE_VARIABLE = "WATCHTIME_TESTS_COMPLETE"
SERVERS_VARIABLE = "WATCHTIME_TEST_SERVERS"


def unavailable(reason: str) -> None:
    """Skip the test, or fail it where all tests must run."""
    if os.environ.get(COMPLETE_VARIABLE):
        pytest.fail(f"{reason} ({COMPLETE_VARIABLE} is set, so this is an error)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cache() -> Cache:
    """The folder of downloaded programs, complete."""
    found = Cache.from_env(os.environ)
    if missing := found.missing():
        unavailable(f"{' and '.join(missing)} not downloaded: run `watchtime doctor --fetch`")
    return found


@pytest.fixture(scope="session")
def java() -> None:
    """Demand a Java runtime."""
    if shutil.which("java") is None:
        unavailable("no java on this machine: see `watchtime doctor`")


def in_containers() -> bool:
    """Return whether servers are to come from containers."""
    choice = os.environ.get(SERVERS_VARIABLE) or "embedded"
    if choice not in {"embedded", "containers"}:
        pytest.fail(f"{SERVERS_VARIABLE}={choice!r}: use embedded or containers", pytrace=False)
    return choice == "containers"


def make_broker(folder: Path, cache: Cache) -> LocalBroker:
    """Return a broker, not started yet."""
    # A test of sessions that end need not wait 6 s for each, the least that Kafka lets a member ask for.
    overrides = {"group.min.session.timeout.ms": "1000"}
    if in_containers():
        from tests.containers import ContainerBroker  # noqa: PLC0415 - its library is slow to load, and rarely needed

        return ContainerBroker(folder, overrides)
    return LocalBroker(folder, cache, overrides=overrides, jvm=QUICK_START)


def make_s3(folder: Path, cache: Cache) -> LocalS3:
    """Return an S3 server, not started yet."""
    if in_containers():
        from tests.containers import ContainerS3  # noqa: PLC0415 - as above

        return ContainerS3(folder)
    return LocalS3(folder, cache)


@pytest.fixture(scope="session")
def shared_broker(cache: Cache, java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:  # noqa: ARG001
    """The session's broker; use `broker` for its address, and do not stop it."""
    server = make_broker(tmp_path_factory.mktemp("kafka"), cache)
    asyncio.run(server.start())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(shared_broker: LocalBroker) -> str:
    """Bootstrap servers of the session's broker, which tests share: see `fresh_topics` and `group_prefix`."""
    return shared_broker.bootstrap_servers


@pytest.fixture
def group_prefix() -> str:
    """A WATCHTIME_GROUP of this test's own."""
    return f"test-{uuid.uuid4().hex[:8]}"


FreshTopics = Callable[..., Awaitable[str]]


@pytest.fixture
def fresh_topics(broker: str) -> FreshTopics:
    """`await fresh_topics(partitions=4, shards=1, client_table=False)`: empty topics on the shared broker.

    Returns the bootstrap servers. Committed offsets of deleted topics go with them.
    """

    async def make(*, partitions: int = 4, shards: int = 1, client_table: bool = False) -> str:
        await delete_topics(broker)
        await provision(broker, partitions, shards, replication=1, client_table=client_table)
        return broker

    return make


async def delete_topics(bootstrap_servers: str, prefix: str = "watch.") -> None:
    """Delete the contract's topics, or those whose names begin so, and wait until the broker lists none of them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        async with asyncio.timeout(20):
            while names := [name for name in await admin.list_topics() if name.startswith(prefix)]:
                await admin.delete_topics(names)
    finally:
        await admin.close()


FreshBroker = Callable[[], Awaitable[LocalBroker]]


@pytest.fixture
async def fresh_broker(
    cache: Cache,
    java: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[FreshBroker]:
    """`await fresh_broker()`: a broker of this test's own (4 s), which it may stop and kill."""
    servers: list[LocalBroker] = []

    async def make() -> LocalBroker:
        server = make_broker(tmp_path_factory.mktemp("kafka"), cache)
        servers.append(server)
        await server.start()
        return server

    yield make
    for server in servers:
        if server.is_running:
            server.stop()


def aws_environ(keys: Keys) -> dict[str, str]:
    """Return credentials as boto3 reads them from the environment."""
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Callable[[Keys], dict[str, str]]:
    """`aws(s3.keys)`: boto3 finds these credentials; returns the variables, for other processes."""

    def use(keys: Keys) -> dict[str, str]:
        for name, value in (environ := aws_environ(keys)).items():
            monkeypatch.setenv(name, value)
        return environ

    return use


@dataclass(frozen=True)
class S3Address:
    """A running S3 server and a way to an empty bucket."""

    server: LocalS3

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        return self.server.endpoint

    @property
    def keys(self) -> Keys:
        """Its credentials."""
        return self.server.keys

    @property
    def environ(self) -> dict[str, str]:
        """The credentials as boto3 reads them from the environment."""
        return aws_environ(self.keys)

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.server.make_bucket(name)
        return name

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return every object under the prefix."""
        connection = client(self.endpoint, self.keys)
        pages = connection.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        names = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {name: connection.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


@pytest.fixture(scope="session")
def s3(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Address]:
    """The session's S3 server; each test takes its own bucket by `s3.bucket()`, and does not stop the server."""
    server = make_s3(tmp_path_factory.mktemp("s3"), cache)
    asyncio.run(server.start())
    yield S3Address(server)
    server.stop()


FreshS3 = Callable[[], Awaitable[LocalS3]]


@pytest.fixture
async def fresh_s3(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FreshS3]:
    """`await fresh_s3()`: an S3 server of this test's own, which it may stop and kill."""
    servers: list[LocalS3] = []

    async def make() -> LocalS3:
        server = make_s3(tmp_path_factory.mktemp("s3"), cache)
        servers.append(server)
        await server.start()
        return server

    yield make
    for server in servers:
        if server.is_running:
            server.stop()
