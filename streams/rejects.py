"""What a fold could not read, on its way to `watch.rejected`: counted always, kept within bounds."""

from __future__ import annotations

from typing import Final

import orjson

from streams.contract.event import MAX_EVENT_BYTES, split_lines

#: Lines kept of one transaction; the others are only counted.
MAX_KEPT: Final = 100
REASON: Final = "line is no event: not a JSON object, or without event_type, event_ts or tab_id"


class Rejects:
    """Invalid lines of one raw partition since they were last taken."""

    def __init__(self, p: int) -> None:
        self._p = p
        self._kept: list[bytes] = []
        #: Invalid lines seen by this process.
        self.count = 0

    def add(self, value: bytes, line: int, offset: int, broker_ms: int) -> None:
        """Take note of line number `line` of a raw record."""
        self.count += 1
        if len(self._kept) < MAX_KEPT:
            text = split_lines(value)[line][:MAX_EVENT_BYTES].decode(errors="replace")
            place = {"partition": self._p, "offset": offset, "line": line}
            self._kept.append(orjson.dumps({"reason": REASON, "received_at": broker_ms, "event": text, **place}))

    def take(self) -> list[bytes]:
        """Return the values for `watch.rejected`."""
        taken, self._kept = self._kept, []
        return taken
