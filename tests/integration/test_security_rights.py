"""Every role tries every action on everything: the broker lets it do what the table here says, and refuses the rest.

The table is written out, and not taken from deploy/acls.py: it is what that list is held against.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, Self

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from deploy.acls import ROLES, Resource, Right
from deploy.acls_command import apply
from deploy.errors import DeployError
from deploy.local.cache import Cache
from streams.brokers import Brokers
from streams.connect import client_options
from streams.contract.topics import topics
from streams.provision import provision
from tests.secured import ADMIN, GROUP, STRANGER, SecuredBroker

DAILY = {"watch.video_daily", "watch.channel_daily", "watch.hour_daily", "watch.ingest_daily"}
FOREIGN = "accounts"
TOPICS = [topic.name for topic in topics(1, 1, client_table=False)]
GROUPS = [f"{GROUP}-{name}" for name in ("partials", "totals", "sinks", "archive", "readers-x")]
#: A topic that the members of a group may see, where it is not a daily one.
SEEN = {GROUPS[0]: "watch.events", GROUPS[1]: "watch.partials", GROUPS[3]: "watch.events"}
IDS = [f"{GROUP}-0", f"{GROUP}-totals-0"]
#: What each role may, by action; everything that is not here must be refused.
MAY: dict[str, dict[str, set[str]]] = {
    "gateway": {
        "write": {"watch.events", "watch.rejected"},
        "read": DAILY,
        "ask group": set(GROUPS),
    },
    "streams": {
        "write": {"watch.state", "watch.partials", "watch.rejected", *DAILY},
        "read": {"watch.events", "watch.state", "watch.partials", *DAILY},
        "ask settings": set(TOPICS),
        "commit": set(GROUPS[:2]),
        "ask group": set(GROUPS[:2]),
        "begin": set(IDS),
    },
    "sinks": {
        "read": {"watch.events", *DAILY},
        "commit": set(GROUPS[2:4]),
        "ask group": set(GROUPS[2:4]),
    },
    "reader": {
        "read": {"watch.events", "watch.rejected", *DAILY},
        "commit": {GROUPS[4]},
        "ask group": {GROUPS[4]},
    },
    "operator": {
        "write": {"watch.events", "watch.state", "watch.partials"},
        "read": set(TOPICS),
        "ask settings": set(TOPICS),
        "set settings": set(TOPICS),
        "commit": set(GROUPS),
        "ask group": set(GROUPS),
        "begin": set(IDS),
        "create": {"watch.new"},
        "cut": {"watch.state", "watch.partials"},
        "delete": {"watch.state", "watch.partials"},
    },
}
_PASSING = [
    error.errno for error in (GroupLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
]
REFUSALS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


@pytest.fixture(scope="module")
def secured(
    cache: Cache,
    java: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SecuredBroker]:
    server = SecuredBroker(tmp_path_factory.mktemp("secured") / "broker", cache)
    asyncio.run(server.start())
    asyncio.run(fill(server))
    yield server
    server.broker.stop()


async def fill(server: SecuredBroker) -> None:
    """Make the topics, and one that is somebody else's, with a record in each."""
    await provision(server.brokers("operator"), 1, 1, replication=1, client_table=False)
    async with Actor(server.brokers(ADMIN)) as admin:
        await admin.create(FOREIGN)
        for topic in (*TOPICS, FOREIGN):
            await admin.write(topic)


class Actor:
    """A role with its clients; each action raises one of REFUSALS when the broker refuses it."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._options = client_options(brokers)
        self._producer = AIOKafkaProducer(**self._options, acks="all", request_timeout_ms=5_000)
        self._consumer = AIOKafkaConsumer(**self._options, auto_offset_reset="earliest")
        self._admin = AIOKafkaAdminClient(**self._options)
        self._client = AIOKafkaClient(**self._options)

    async def __aenter__(self) -> Self:
        await asyncio.gather(self._producer.start(), self._consumer.start(), self._admin.start())
        await self._client.bootstrap()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._producer.stop(), self._consumer.stop(), self._admin.close(), self._client.close())

    async def write(self, topic: str) -> None:
        await self._see(topic)
        await self._producer.send_and_wait(topic, b"x", key=b"x", partition=0)

    async def read(self, topic: str) -> None:
        await self._see(topic)
        self._consumer.assign([at := TopicPartition(topic, 0)])
        self._consumer.seek(at, 0)
        assert await self._consumer.getmany(at, timeout_ms=10_000), "every topic has a record"

    async def _see(self, topic: str) -> None:
        """Ask for a topic's partitions: clients would ask again and again for one that they may not see."""
        (told,) = await self._admin.describe_topics([topic])
        raise_for(told["error_code"])

    async def ask_settings(self, topic: str) -> None:
        (answer,) = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        raise_for(answer.resources[0][0])

    async def set_settings(self, topic: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"flush.ms": "9"})
        (answer,) = await self._admin.alter_configs([resource])
        raise_for(answer.resources[0][0])

    async def create(self, topic: str) -> None:
        answer = await self._admin.create_topics([NewTopic(topic, 1, 1)])
        raise_for(answer.topic_errors[0][1])

    async def cut(self, topic: str) -> None:
        """Delete the records before an offset."""
        await self._see(topic)
        await self._admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(0)})

    async def delete(self, topic: str) -> None:
        answer = await self._admin.delete_topics([topic])
        raise_for(answer.topic_error_codes[0][1])

    async def ask_group(self, group: str) -> None:
        await self._admin.list_consumer_group_offsets(group)

    async def commit(self, group: str) -> None:
        consumer = AIOKafkaConsumer(**self._options, group_id=group, enable_auto_commit=False)
        consumer.assign([at := TopicPartition(SEEN.get(group, "watch.video_daily"), 0)])
        try:
            await consumer.start()
            await consumer.commit({at: 0})
        finally:
            await consumer.stop()

    async def begin(self, transactional_id: str) -> None:
        """Ask for the epoch of a transactional id, as the start of its producer does."""
        node = self._client.get_random_node()
        code = _PASSING[0]
        while code in _PASSING:  # the first one asked for makes the coordinator's topic
            code = (await self._client.send(node, FindCoordinatorRequest(transactional_id, 1))).error_code
            if not code:
                code = (await self._client.send(node, InitProducerIdRequest(transactional_id, 10_000))).error_code
            await asyncio.sleep(0.05)
        raise_for(code)

    async def grant(self, user: str) -> None:
        """Give a user a right."""
        try:
            await apply(self._brokers, [Right(user, "Read", Resource("topic", "watch.", prefixed=True))])
        except DeployError as error:
            if "ClusterAuthorizationFailed" not in str(error):
                raise
            raise ClusterAuthorizationFailedError from error


def raise_for(code: int) -> None:
    if code:
        raise for_code(code)


class Action(NamedTuple):
    does: Callable[[Actor, str], Awaitable[None]]
    things: list[str]


ACTIONS = {
    "write": Action(Actor.write, [*TOPICS, FOREIGN]),
    "read": Action(Actor.read, [*TOPICS, FOREIGN]),
    "ask settings": Action(Actor.ask_settings, [*TOPICS, FOREIGN]),
    "commit": Action(Actor.commit, [*GROUPS, "accounts-x"]),
    "ask group": Action(Actor.ask_group, [*GROUPS, "accounts-x"]),
    "begin": Action(Actor.begin, [*IDS, "accounts-0"]),
    "grant": Action(Actor.grant, [f"{GROUP}-gateway"]),
    "create": Action(Actor.create, ["watch.new", "accounts.new"]),
    "set settings": Action(Actor.set_settings, [*TOPICS, FOREIGN]),
    "cut": Action(Actor.cut, [*TOPICS, FOREIGN]),
    "delete": Action(Actor.delete, [*TOPICS, FOREIGN]),
}


@pytest.mark.parametrize("role", [STRANGER, *ROLES])  # the operator last: it deletes topics
async def test_each_role_may_do_what_it_needs_and_nothing_else(secured: SecuredBroker, role: str):
    wrong = []
    tried = refused = 0
    async with Actor(secured.brokers(role)) as actor:
        for name, action in ACTIONS.items():
            for thing in action.things:
                tried += 1
                try:
                    await action.does(actor, thing)
                except REFUSALS:
                    refused += 1
                    may = False
                else:
                    may = True
                if may != (thing in MAY.get(role, {}).get(name, ())):
                    wrong.append(f"{role} {'may' if may else 'may not'} {name} {thing}")
    print(f"{role}: {tried} actions tried, {refused} refused", *wrong, sep="\n")
    assert wrong == []


def test_the_table_speaks_of_what_is_tried():
    for role, actions in MAY.items():
        assert role in ROLES
        for name, things in actions.items():
            assert things <= set(ACTIONS[name].things)
