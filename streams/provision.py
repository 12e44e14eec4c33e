"""Creates the topics of a stack, and refuses topics that exist with other settings.

A wrong partition count would send a client's repeats to another partition, a wrong clean-up policy would lose state:
neither can be mended later, so nothing starts on such topics.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.brokers import Address
from streams.connect import client_options
from streams.contract.topics import Topic, topics

#: Settings that must be as the contract says; the others (sizes, ages) are an operator's to change.
FIXED_SETTINGS: Final = ("cleanup.policy", "message.timestamp.type")
#: With so many copies of a topic two are demanded for an acknowledgement; with fewer, one lost broker would stop all.
_COPIES_FOR_TWO: Final = 3
REQUEST_TIMEOUT_MS: Final = 15_000
#: A topic is listed before each partition has a leader, and a racing creator may be in between.
SETTLE_TIMEOUT_S: Final = 20.0


class ProvisionError(Exception):
    """A topic cannot be created, or exists and is not as the contract says."""


@dataclass(frozen=True)
class Found:
    """A topic as the cluster describes it."""

    partitions: int
    config: dict[str, str]


async def provision(brokers: Address, partitions: int, shards: int, *, replication: int, client_table: bool) -> None:
    """Create the missing topics of a stack with P = `partitions` and Q = `shards`, and check all of them."""
    wanted = topics(partitions, shards, client_table=client_table)
    async with _admin(brokers) as admin:
        found = await _existing(admin, wanted)
        # Nothing is made under settings that do not fit what is there.
        refuse_differences(wanted, found)
        missing = [topic for topic in wanted if topic.name not in found]
        if missing:
            await _create(admin, missing, replication)
            refuse_differences(missing, await _describe(admin, [topic.name for topic in missing]))


async def existing_topics(brokers: Address, wanted: Sequence[Topic]) -> dict[str, Found]:
    """Return those of the topics that exist, as they are."""
    async with _admin(brokers) as admin:
        return await _existing(admin, wanted)


@asynccontextmanager
async def _admin(brokers: Address) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(brokers), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise ProvisionError(f"the broker at {brokers} did not answer: {error!r}; is it running?") from error
    finally:
        await admin.close()


def refuse_differences(wanted: Iterable[Topic], found: Mapping[str, Found]) -> None:
    """Raise ProvisionError when a topic that exists is not as wanted."""
    complaints = [text for topic in wanted if topic.name in found for text in differences(topic, found[topic.name])]
    if complaints:
        raise ProvisionError("\n".join(complaints))


def differences(topic: Topic, found: Found) -> list[str]:
    """Return a sentence for each way in which an existing topic is not as wanted."""
    complaints = []
    if found.partitions != topic.partitions:
        complaints.append(
            f"topic {topic.name} has {found.partitions} partitions, expected {topic.partitions}: "
            "start with the number it was made with, or use another broker and lake, and bring old days over with "
            "`watchtime rebuild --dt DAY --from LAKE`; it cannot be changed in place"
        )
    for setting in FIXED_SETTINGS:
        expected, actual = topic.config[setting], found.config.get(setting, "")
        if _normal(expected) != _normal(actual):
            complaints.append(
                f"topic {topic.name} has {setting}={actual or 'nothing'}, expected {expected}: "
                f"set it back with kafka-configs --alter --topic {topic.name} --add-config '{setting}=[{expected}]'"
            )
    return complaints


def _normal(value: str) -> set[str]:
    """Return a list setting without its order: the broker may list clean-up policies either way."""
    return {part.strip() for part in value.split(",")}


def _durable(config: dict[str, str], replication: int) -> dict[str, str]:
    """Add that an acknowledgement takes two copies where there are three: else one lost disk loses what it promised."""
    return {**config, "min.insync.replicas": "2"} if replication >= _COPIES_FOR_TWO else config


async def _create(admin: AIOKafkaAdminClient, wanted: Sequence[Topic], replication: int) -> None:
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, replication, topic_configs=_durable(topic.config, replication))
            for topic in wanted
        ],
        timeout_ms=REQUEST_TIMEOUT_MS,
    )
    for name, code, *message in answer.topic_errors:
        # Somebody else created it between the listing and now: it is checked like any other.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise ProvisionError(f"topic {name} was not created: {for_code(code).__name__}: {message[0] or ''}")


async def _existing(admin: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, Found]:
    present = await admin.list_topics()
    names = [topic.name for topic in wanted if topic.name in present]
    return await _describe(admin, names) if names else {}


async def _describe(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, Found]:
    """Return the topics as they are, once each partition of each topic has a leader."""
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while not _settled(described := await admin.describe_topics(names)):  # noqa: ASYNC110 - the broker has no event to wait for
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        waiting = [topic["topic"] for topic in described if not _settled([topic])]
        raise ProvisionError(f"topics {waiting} have no leader after {SETTLE_TIMEOUT_S:.0f} s") from error
    configs = await _configs(admin, names)
    return {
        topic["topic"]: Found(partitions=len(topic["partitions"]), config=configs[topic["topic"]])
        for topic in described
    }


def _settled(described: Sequence[dict[str, Any]]) -> bool:
    return all(
        topic["error_code"] == 0
        and topic["partitions"]
        and all(part["error_code"] == 0 and part["leader"] >= 0 for part in topic["partitions"])
        for topic in described
    )


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(FIXED_SETTINGS, "")) for name in names]
    configs = {}
    for answer in await admin.describe_configs(resources):
        for code, message, _, name, entries in answer.resources:
            if code:
                raise ProvisionError(f"settings of topic {name} were not told: {for_code(code).__name__}: {message}")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
