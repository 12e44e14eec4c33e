"""The ids of topics: what tells a topic from another one of the same name that was made anew.

aiokafka speaks Metadata up to version 5, and brokers name topic ids from version 10 on, so the one request
needed is spelt out here in aiokafka's own terms (version 12: flexible, names may be null).
"""

# mypy: disable-error-code=misc
# (aiokafka ships no types, so that its classes cannot be told from Any when extended)

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from io import BytesIO
from typing import ClassVar, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, NoError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.brokers import Address
from streams.connect import client_options

#: How long a topic may be missing from a broker's metadata before it counts as missing, seconds.
METADATA_DEADLINE_S: Final = 10.0
_RETRY_S: Final = 0.1
#: Errors that pass by themselves, just after a topic or broker came up.
_PASSING: Final = (UnknownTopicOrPartitionError.errno, LeaderNotAvailableError.errno)
_NO_ID: Final = uuid.UUID(int=0)


class TopicIdError(Exception):
    """The id of a topic could not be read from the broker."""


async def topic_ids(brokers: Address, names: Iterable[str]) -> dict[str, uuid.UUID]:
    """Return the id of each topic; TopicIdError when one does not exist or no broker answers."""
    wanted = sorted(set(names))
    client = AIOKafkaClient(**client_options(brokers))
    try:
        await client.bootstrap()
        return await _ask_until_known(client, wanted)
    except (KafkaError, TimeoutError) as error:
        raise TopicIdError(f"no broker at {brokers} told the ids of {', '.join(wanted)}: {error!r}") from error
    finally:
        await client.close()


async def _ask_until_known(client: AIOKafkaClient, names: list[str]) -> dict[str, uuid.UUID]:
    deadline = time.monotonic() + METADATA_DEADLINE_S
    while True:
        response = await client.send(client.get_random_node(), _MetadataRequest(names))
        failed = {name: code for code, name, *_ in response.topics if code != NoError.errno}
        if not failed:
            return _ids(response)
        passing = all(code in _PASSING for code in failed.values())
        if not passing or time.monotonic() >= deadline:
            reasons = ", ".join(f"{name} ({for_code(code).__name__})" for name, code in failed.items())
            raise TopicIdError(f"the broker does not know topics: {reasons}; make them with `watchtime topics`")
        await asyncio.sleep(_RETRY_S)


def _ids(response: _MetadataResponseV12) -> dict[str, uuid.UUID]:
    ids = {name: topic_id for _, name, topic_id, *_ in response.topics}
    if _NO_ID in ids.values():
        raise TopicIdError("the broker gives topics no ids; Kafka 2.8 or newer is needed, in KRaft mode")
    return ids


class _Uuid(AbstractType[uuid.UUID]):
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _MetadataResponseV12(Response):
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestV12(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponseV12
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestV12]):
    API_KEY: ClassVar[int] = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataRequestV12]) -> _MetadataRequestV12:
        topics: list[tuple[uuid.UUID, str, dict[int, bytes]]] = [(_NO_ID, name, {}) for name in self._names]
        return request_struct_class(topics, False, False, {})  # noqa: FBT003 -- aiokafka's structs take positions
