"""The records of `watch.rejected`: read, grouped, and made into events that can be posted again.

Pure, except for `read`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiokafka import TopicPartition

from gateway.validate import verdict
from streams.brokers import Address
from streams.contract.event import MAX_BATCH_EVENTS, MAX_BODY_BYTES
from streams.contract.topics import REJECTED
from streams.restore import begin_offset, committed_reader, end_offset

#: Says in a replayed event which record it comes from.
MARK: Final = "replayed_offset"
#: Bytes that a batch has beside its events.
_ENVELOPE_BYTES: Final = 64


@dataclass(frozen=True, kw_only=True)
class Reject:
    """One record."""

    offset: int
    #: When the broker took it, epoch ms.
    at_ms: int
    client: str | None
    reason: str
    #: The rejected event or line as it was kept.
    event: str
    #: Where in the raw topic the line stands; empty for what the gateway refused.
    place: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Group:
    """Records with one reason."""

    reason: str
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    #: The newest one, as an example.
    last_offset: int = 0


async def read(brokers: Address, since_ms: int = 0) -> list[Reject]:
    """Return the records of the topic, oldest first, from a moment on."""
    partition = TopicPartition(REJECTED, 0)
    found: list[Reject] = []
    async with committed_reader(brokers) as reader:
        end = await end_offset(reader, partition)
        reader.assign([partition])
        reader.seek(partition, await begin_offset(reader, partition))
        if since_ms:
            at = (await reader.offsets_for_times({partition: since_ms}))[partition]
            reader.seek(partition, at.offset if at else end)
        while await reader.position(partition) < end:
            fetched = await reader.getmany(partition, timeout_ms=1_000)
            found += [decode(record) for record in fetched.get(partition, ())]
    return found


def decode(record: Any) -> Reject:  # noqa: ANN401 - aiokafka ships no types
    """Return a record; one that another program wrote there is shown as it is."""
    key = None if record.key is None else record.key.decode(errors="replace")
    value = record.value or b""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        fields = {"reason": "unreadable record", "event": value.decode(errors="replace")}
    event = fields.get("event")
    return Reject(
        offset=int(record.offset),
        at_ms=int(record.timestamp),
        client=key,
        reason=str(fields.get("reason")),
        event=event if isinstance(event, str) else orjson.dumps(event).decode(),
        place={name: fields[name] for name in ("partition", "offset", "line") if name in fields},
    )


def groups(rejects: Iterable[Reject]) -> list[Group]:
    """Return the records by reason, the most frequent reason first."""
    found: dict[str, Group] = {}
    for reject in rejects:
        group = found.setdefault(reject.reason, Group(reason=reject.reason, first_ms=reject.at_ms))
        group.count += 1
        group.last_ms, group.last_offset = reject.at_ms, reject.offset
    return sorted(found.values(), key=lambda group: (-group.count, group.reason))


class NoEventError(Exception):
    """A record holds nothing that the gateway would take."""


def event_of(reject: Reject, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event to post for a record, mended and marked; NoEventError says why there is none."""
    try:
        event = orjson.loads(reject.event)
    except orjson.JSONDecodeError:
        raise NoEventError("no JSON, or cut off when it was kept") from None
    if not isinstance(event, dict):
        raise NoEventError("no JSON object")
    event = {**event, **changes, MARK: reject.offset}
    why = verdict(event, len(orjson.dumps(event)))
    if why is not None:
        raise NoEventError(why)
    return event


def batches(events: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return events in batches that the gateway takes, in their order."""
    found: list[list[dict[str, Any]]] = []
    size = 0
    for event in events:
        cost = len(orjson.dumps(event)) + 1
        if not found or len(found[-1]) == MAX_BATCH_EVENTS or size + cost > MAX_BODY_BYTES - _ENVELOPE_BYTES:
            found.append([])
            size = 0
        found[-1].append(event)
        size += cost
    return found


_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment(text: str, now_ms: int) -> int:
    """Return the epoch ms of `30m`, `2h`, `7d` (ago) or of an ISO date or time (UTC unless it says otherwise)."""
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago:
        return now_ms - int(ago[1]) * _UNITS_S[ago[2]] * 1_000
    at = datetime.datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1_000)


def change(text: str) -> tuple[str, Any]:
    """Return the field and value of `FIELD=JSON`; what is no JSON is a string."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ValueError(f"{text!r} is no FIELD=VALUE")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value
