r"""What becomes of a request's events: records for the broker and the verdicts for the client. Pure.

All accepted events of one client in one request travel in one record, a line each, in the order in which they
came; a record is the unit that streams fold. Each line ends with "\n" and holds no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from gateway.body import Batch, compact
from gateway.plain import plain_lines
from gateway.validate import client_key, verdict
from streams.contract import topics

MAX_ERRORS_ANSWERED: Final = 10
#: Rejected events kept for a look, per minute and process; the rest is only counted.
MAX_REJECTED_PER_MINUTE: Final = 100
#: Bytes of a rejected event that are kept.
MAX_REJECTED_BYTES: Final = 16 * 1024
_MINUTE_S: Final = 60.0
_GATEWAY_FIELDS: Final = ("received_at", "client_id")


class Record(NamedTuple):
    """A record on its way to the broker."""

    topic: str
    key: bytes | None
    value: bytes


class Rejection(NamedTuple):
    """Why the event at a position of the request was rejected."""

    at: int
    error: str


@dataclass(kw_only=True)
class Intake:
    """The outcome for one request."""

    accepted: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    #: Rejected events that are not among `records` because of the limit per minute.
    unrecorded: int = 0

    def answer(self) -> bytes:
        """Return the answer's body."""
        if not self.rejected:
            return b'{"ok":true,"accepted":%d,"rejected":0,"errors":[]}' % self.accepted
        return orjson.dumps(
            {
                "ok": True,
                "accepted": self.accepted,
                "rejected": len(self.rejected),
                "errors": [{"index": at, "error": error} for at, error in self.rejected[:MAX_ERRORS_ANSWERED]],
            }
        )


class RejectedLimit:
    """So few in any minute that a broken client cannot fill the topic. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=MAX_REJECTED_PER_MINUTE)

    def take(self, now_s: float) -> bool:
        """Whether one more may be recorded now."""
        taken = self._taken
        if len(taken) == taken.maxlen and now_s - taken[0] < _MINUTE_S:
            return False
        taken.append(now_s)
        return True

    def give_back(self, count: int) -> None:
        """Take back the latest: they were not recorded."""
        for _ in range(min(count, len(self._taken))):
            self._taken.pop()


def sort_batch(
    batch: Batch, received_at: int, limit: RejectedLimit, now_s: float, install: str | None = None
) -> Intake:
    """Return the outcome of a request's events, as `sort_events` does, the short way if they are plain."""
    if batch.events and batch.text is not None:
        plain = plain_lines(batch.events, batch.text, install, b',"received_at":%d,' % received_at)
        if plain is not None:
            client, lines = plain
            return Intake(accepted=len(batch.events), records=[Record(topics.EVENTS, client.encode(), lines)])
    return sort_events(batch.events, received_at, limit, now_s, install)


def sort_events(
    events: Sequence[Any], received_at: int, limit: RejectedLimit, now_s: float, install: str | None = None
) -> Intake:
    """Return the outcome of a request's events, received at `received_at` (epoch ms).

    `install`: the client of all of them, by their request's token; None: each event names its own.
    """
    intake = Intake()
    lines: dict[str, list[bytes]] = {}
    tails: dict[str, bytes] = {}
    for index, event in enumerate(events):
        raw = compact(event)
        error = verdict(event, len(raw))
        if error is not None:
            intake.rejected.append(Rejection(index, error))
            if limit.take(now_s):
                intake.records.append(_rejected(event, raw, error, received_at, install))
            else:
                intake.unrecorded += 1
            continue
        client = install or event["client_session_id"]
        if client not in lines:
            lines[client] = []
            tails[client] = b',"received_at":%d,"client_id":%b}\n' % (received_at, compact(client))
        if "received_at" in event or "client_id" in event:
            raw = compact({name: value for name, value in event.items() if name not in _GATEWAY_FIELDS})
        lines[client] += (raw[:-1], tails[client])
        intake.accepted += 1
    for client, pieces in lines.items():
        intake.records.append(Record(topics.EVENTS, client.encode(), b"".join(pieces)))
    return intake


def _rejected(event: object, raw: bytes, error: str, received_at: int, install: str | None) -> Record:
    client = install or client_key(event)
    text = raw[:MAX_REJECTED_BYTES].decode(errors="ignore")  # a cut may fall inside a character
    value = orjson.dumps({"reason": error, "received_at": received_at, "event": text})
    return Record(topics.REJECTED, None if client is None else client.encode(), value)
