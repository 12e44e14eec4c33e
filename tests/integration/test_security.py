"""The whole path through a broker that encrypts, asks for a user and has a list of rights; each part has its user."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from deploy.acls import READERS, rights
from deploy.cli import main
from deploy.local.cache import Cache
from deploy.local.process import Child, Program
from streams.connect import client_options
from streams.contract.rows import INGEST
from streams.provision import ProvisionError, provision
from tests import oracle, proof
from tests.integration.stream_workers import all_records
from tests.pipeline import ROOT, STAGES, Pipeline
from tests.secured import ADMIN, GROUP, STRANGER, Authority, SecuredBroker

EVENTS = 2_000
SESSION_MS = 6_000


@pytest.fixture(scope="module")
def secured(
    cache: Cache,
    java: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SecuredBroker]:
    """A broker on which the operator has laid the topics."""
    server = SecuredBroker(tmp_path_factory.mktemp("secured") / "broker", cache)

    async def begin() -> None:
        await server.start()
        await provision(server.brokers("operator"), 4, 1, replication=1, client_table=False)

    asyncio.run(begin())
    yield server
    server.broker.stop()


@pytest.mark.slow
async def test_each_role_does_its_work_and_nothing_drifts(secured: SecuredBroker, tmp_path: Path):
    await work(secured, tmp_path, long=False)


@pytest.mark.slow
async def test_every_day_and_command_of_the_operator(cache: Cache, java: None, tmp_path: Path):  # noqa: ARG001
    # A login that ends is what a token of AWS brings with it: the broker hangs up, and clients log in again.
    server = SecuredBroker(tmp_path / "broker", cache, session_ms=SESSION_MS)
    await server.start()
    try:
        await work(server, tmp_path, long=True)
    finally:
        server.broker.stop()


async def work(secured: SecuredBroker, tmp_path: Path, *, long: bool) -> None:
    """Run the whole path, each part as its user."""
    for stage in STAGES:  # one of the two ways that a password can come
        (tmp_path / stage).write_text(f"{secured.passwords[stage]}\n")

    def environ_of(who: str) -> dict[str, str]:
        told = secured.environ(who)
        if who in STAGES:
            return told | {"KAFKA_SASL_PASSWORD": "", "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / who)}
        return told

    pipeline = Pipeline(tmp_path, environ_of)
    assert "watch.events             4 partitions" in await pipeline.watchtime("topics")
    await pipeline.start()
    try:
        loaded = json.loads(
            await pipeline.watchtime(
                "load", "--json", "--url", pipeline.url, "--events", str(EVENTS), "--rate", "2000", "--repeat", "0.05"
            )
        )
        expected = oracle.fold(Path(loaded["acknowledged"]))
        assert loaded["events"] == expected.events == EVENTS
        async with aiohttp.ClientSession() as session:
            await session.post(f"{pipeline.url}/ingest", json={"schema": 1})
            # Reconcile waits until the stages have worked through all of it.
            for day in expected.days if long else expected.days[-1:]:
                finding = json.loads(await pipeline.watchtime("reconcile", "--dt", day, "--json"))
                assert finding["drift"] == 0
            query = {"table": "ingest", "dt": expected.days[-1]}
            async with session.get(f"{pipeline.url}/api/daily", params=query) as answer:
                assert answer.status == 200, await answer.text()
        assert proof.differences(expected, proof.rows_in(pipeline.lake)) == []
        assert await total_events(secured) == EVENTS
        assert "missing event_id" in await pipeline.watchtime("rejected", "list")
        if long:
            client = a_client(Path(loaded["acknowledged"]))
            assert "are anonymous now" in await pipeline.watchtime("forget", "--client", client, "--yes")
        assert pipeline.ends == []
    finally:
        codes = await pipeline.stop()
    assert set(codes.values()) == {0}, pipeline.logs()
    logs = "".join(file.read_text() for file in (tmp_path / "logs").iterdir())
    assert not [user for user, password in secured.passwords.items() if password in logs]


def a_client(acknowledged: Path) -> str:
    """Return the first client of a file of acknowledged POSTs."""
    body = json.loads(acknowledged.read_text().splitlines()[0])["body"]
    (event, *_) = body.get("events") or [body]
    return str(event["client_session_id"])


async def total_events(secured: SecuredBroker) -> int:
    """Read the public rows as those do who may read and nothing else, in a group of their own."""
    async with AIOKafkaConsumer(
        **client_options(secured.brokers("reader")),
        group_id=f"{GROUP}-{READERS}dashboard",
        isolation_level="read_committed",
    ) as consumer:
        records = await all_records(consumer, INGEST.topic)
        await consumer.commit()
    return sum({record.key: json.loads(record.value)["total_events"] for record in records}.values())


@pytest.mark.parametrize("stage", ["streams", "sinks"])
async def test_a_stage_with_the_wrong_password_says_as_whom_it_tried(
    secured: SecuredBroker, stage: str, tmp_path: Path
):
    environ = secured.environ(stage) | {"KAFKA_SASL_PASSWORD": "wrong", "SINKS_LAKE": tmp_path.as_uri()}

    code, log = ended(stage, environ, tmp_path)
    assert code == {"streams": 1, "sinks": 70}[stage]
    assert f"(SASL_SSL, SCRAM-SHA-512, user {GROUP}-{stage})" in log
    assert '"wrong"' not in log


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_cannot_read_its_password_does_not_start(stage: str, tmp_path: Path):
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "u",
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "none"),
        "SINKS_LAKE": tmp_path.as_uri(),
    }

    code, log = ended(stage, environ, tmp_path)
    assert code == 2
    assert f"KAFKA_SASL_PASSWORD_FILE='{tmp_path}/none' cannot be read" in log


def ended(stage: str, environ: dict[str, str], folder: Path) -> tuple[int | None, str]:
    """Run a stage that cannot start; return its exit code and log."""
    log = folder / "log"
    command = [sys.executable, "-P", "-m", stage]
    child = Child(Program(name=stage, command=command, log=log, environ={"PYTHONPATH": str(ROOT), **environ}))
    return child.wait(60), log.read_text()


async def test_a_broker_that_another_authority_vouches_for_is_not_believed(secured: SecuredBroker, tmp_path: Path):
    other = Authority.made("others").write(tmp_path / "ca.pem")
    brokers = secured.brokers("operator")
    told = {**secured.environ("operator"), "KAFKA_SSL_CAFILE": str(other)}

    with pytest.raises(ProvisionError, match="did not answer"):
        await provision(type(brokers).from_env(told), 4, 1, replication=1, client_table=False)
    # Nothing is wrong with the user.
    assert await visible(secured, "operator") != set()


@pytest.mark.parametrize("user", [ADMIN, "operator"])
def test_rights_are_set_by_who_may(
    secured: SecuredBroker, user: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name, value in secured.environ(user).items():
        monkeypatch.setenv(name, value)

    code = main(["acls", "--apply"])
    told = capsys.readouterr()
    if user == ADMIN:  # once more: what is set stays set
        assert (code, told.out) == (0, f"{len(rights(GROUP, client_table=False))} rights are set for 5 users\n")
    else:
        assert code == 1
        assert "ClusterAuthorizationFailedError" in told.err


async def test_a_user_without_rights_sees_nothing(secured: SecuredBroker):
    assert await visible(secured, STRANGER) == set()


async def visible(secured: SecuredBroker, user: str) -> set[str]:
    async with AIOKafkaConsumer(**client_options(secured.brokers(user))) as consumer:
        return set(await consumer.topics())
