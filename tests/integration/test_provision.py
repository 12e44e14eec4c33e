"""Topics are made as the contract says, and refused when they are otherwise."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.contract.topics import topics
from streams.provision import ProvisionError, provision
from tests.servers import FreshTopics, delete_topics


async def described(bootstrap_servers: str, topic: str) -> tuple[int, dict[str, str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, None)])
        return len(found["partitions"]), {entry[0]: entry[1] for entry in answer.resources[0][4]}
    finally:
        await admin.close()


async def test_every_topic_has_the_contracts_settings(fresh_topics: FreshTopics) -> None:
    address = await fresh_topics(partitions=3, shards=2, client_table=True)

    for topic in topics(3, 2, client_table=True):
        partitions, config = await described(address, topic.name)
        assert topic.partitions == partitions
        assert topic.config == {name: config[name] for name in topic.config}


async def test_the_client_table_is_opt_in(fresh_topics: FreshTopics, broker: str) -> None:
    await fresh_topics()

    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        assert "watch.client_daily" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_a_second_start_accepts_what_the_first_one_made(fresh_topics: FreshTopics) -> None:
    address = await fresh_topics()

    await provision(address, 4, 1, replication=1, client_table=False)


async def test_another_partition_count_is_refused(fresh_topics: FreshTopics) -> None:
    address = await fresh_topics(partitions=4)

    with pytest.raises(ProvisionError, match=r"watch\.events has 4 partitions, expected 8: start with"):
        await provision(address, 8, 1, replication=1, client_table=False)


@pytest.mark.parametrize(("setting", "value"), [("cleanup.policy", "delete"), ("message.timestamp.type", "CreateTime")])
async def test_another_setting_is_refused(broker: str, setting: str, value: str) -> None:
    await delete_topics(broker)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    [state] = [topic for topic in topics(4, 1, client_table=False) if topic.name == "watch.state"]
    await admin.create_topics([NewTopic(state.name, 4, 1, topic_configs={**state.config, setting: value})])
    await admin.close()

    with pytest.raises(ProvisionError, match=rf"watch\.state has {setting}={value}, expected .*: set it back with"):
        await provision(broker, 4, 1, replication=1, client_table=False)


async def test_workers_that_start_together_do_not_disturb_each_other(broker: str) -> None:
    await delete_topics(broker)

    await asyncio.gather(*(provision(broker, 4, 2, replication=1, client_table=True) for _ in range(5)))

    assert (await described(broker, "watch.events"))[0] == 4


async def test_more_replicas_than_brokers_is_an_error_that_names_the_topic(broker: str) -> None:
    await delete_topics(broker)

    with pytest.raises(ProvisionError, match=r"topic watch\.events was not created: InvalidReplicationFactor"):
        await provision(broker, 4, 1, replication=3, client_table=False)


async def test_an_absent_broker_is_named() -> None:
    with pytest.raises(ProvisionError, match=r"127\.0\.0\.1:1 did not answer"):
        await provision("127.0.0.1:1", 4, 1, replication=1, client_table=False)
