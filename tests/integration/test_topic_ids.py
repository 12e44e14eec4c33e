"""Topic ids, as a real broker tells them."""

from __future__ import annotations

import pytest

from streams.contract.rows import VIDEO
from streams.contract.topics import EVENTS
from streams.topic_id import TopicIdError, topic_ids


async def test_topic_ids_are_the_broker_s(fresh_topics):
    broker = await fresh_topics()
    first = await topic_ids(broker, [EVENTS, VIDEO.topic])
    assert await topic_ids(broker, [EVENTS]) == {EVENTS: first[EVENTS]}
    await fresh_topics()

    assert (await topic_ids(broker, [EVENTS]))[EVENTS] not in first.values()
    with pytest.raises(TopicIdError, match=r"no broker at 127\.0\.0\.1:1 "):
        await topic_ids("127.0.0.1:1", [EVENTS])
