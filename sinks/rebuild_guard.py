"""What must be so before the files of a day may be rebuilt whose topics can still change."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from sinks.keys import topic8
from sinks.progress import Report
from sinks.raw_days import Continuity, RawHoleError, raw_days_of
from sinks.reconcile_day import Stack, check_against_log
from sinks.reconcile_settle import Log
from streams.connect import client_options
from streams.contract.rows import TABLES
from streams.contract.topics import EVENTS, SINKS_GROUP
from streams.topic_id import TopicIdError, topic_ids

#: Longer than a stopped worker stays in its group.
LEAVE_S: Final = 10.0
_POLL_S: Final = 0.5


class OpenDayError(Exception):
    """A day that may still change cannot be rebuilt now."""


async def check_sinks_are_down(stack: Stack, report: Report) -> None:
    """Raise OpenDayError while sinks write files, or when that cannot be told.

    A worker with a name of its own stays in its group for one session after it has stopped.
    """
    group = f"{stack.group}-{SINKS_GROUP}"
    admin = AIOKafkaAdminClient(**client_options(stack.brokers))
    deadline = time.monotonic() + LEAVE_S
    try:
        await admin.start()
        while members := _members(await admin.describe_consumer_groups([group])):
            if time.monotonic() > deadline:
                raise OpenDayError(
                    f"the day may still change, and {members} sinks of group {group} are writing its files: stop them "
                    "with `watchtime down sinks`, rebuild, and start them again with `watchtime up`"
                )
            report(f"waiting for sinks to leave group {group}")
            await asyncio.sleep(_POLL_S)
    except KafkaError as error:
        raise OpenDayError(
            f"the day may still change, and the broker at {stack.brokers} does not tell whether sinks run "
            f"({error!r}): start it; `watchtime down sinks` stops the sinks alone"
        ) from error
    finally:
        await admin.close()


def _members(answers: Any) -> int:  # noqa: ANN401 - aiokafka ships no types
    return sum(len(group[5]) for answer in answers for group in answer.groups)


async def check_archive_is_whole(stack: Stack, continuity: Continuity, dt: str) -> None:
    """Raise OpenDayError unless the archive holds everything that the raw topic holds and that matters to the day."""
    try:
        ids = await topic_ids(stack.brokers, [EVENTS])
        async with Log(stack.brokers) as log:
            ends = await log.ends(EVENTS)
            await check_against_log(continuity, topic8(ids[EVENTS]), log, ends, raw_days_of(dt))
    except RawHoleError as hole:
        raise OpenDayError(
            f"the day would come out too small: {hole}. If the archive is only behind, start the sinks, wait until "
            "`watchtime status` shows no lag, stop them with `watchtime down sinks` and rebuild then; if a raw object "
            "is gone, bring it back from a copy first"
        ) from hole


async def daily_topic_ids(stack: Stack) -> dict[str, str]:
    """Return the ids of those daily topics that exist."""
    found = {}
    for table in TABLES:
        try:
            ids = await topic_ids(stack.brokers, [table.topic])
        except TopicIdError:
            continue
        found[table.topic] = str(ids[table.topic])
    return found
