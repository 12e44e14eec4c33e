"""What reconcile waits for, with a real broker."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer, TopicPartition

from sinks.reconcile_settle import Log
from streams.contract.topics import PARTIALS
from tests.servers import FreshTopics


async def test_the_end_to_wait_for_is_behind_records_of_a_transaction_that_has_not_ended(
    fresh_topics: FreshTopics, group_prefix: str
) -> None:
    servers = await fresh_topics()
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{group_prefix}-open")
    await producer.start()
    try:
        async with Log(servers) as log:
            await producer.begin_transaction()
            await producer.send_and_wait(PARTIALS, b"{}", key=b"2026-03-10|video|v|0", partition=0)

            # The broker answers a commit before its marker is in the partition: to readers of what is committed the
            # partition then still ends before the record, and a wait up to there would be over too soon.
            assert await log.ends(PARTIALS) == {TopicPartition(PARTIALS, 0): 1}

            await producer.commit_transaction()
    finally:
        await producer.stop()
