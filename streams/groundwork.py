"""What a stack stands on before anything is folded: its topics, and what its numbers depend on."""

from __future__ import annotations

from streams.contract import topics
from streams.fold_settings import FoldSettings
from streams.provision import provision
from streams.settings import Settings
from streams.topic_id import topic_ids


async def lay(settings: Settings) -> None:
    """Create the topics that are missing, and check all of them; ProvisionError."""
    await provision(
        settings.brokers,
        settings.partitions,
        settings.shards,
        replication=settings.replication,
        client_table=settings.client_table,
    )


async def fold_settings_of(settings: Settings) -> FoldSettings:
    """Return what the numbers depend on; TopicIdError when the broker or the raw topic is not there."""
    ids = await topic_ids(settings.brokers, [topics.EVENTS])
    return FoldSettings(
        partitions=settings.partitions,
        shards=settings.shards,
        day_rule=settings.day_rule,
        client_table=settings.client_table,
        topic_id=ids[topics.EVENTS],
    )
