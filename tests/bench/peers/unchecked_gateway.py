"""This project's own gateway without validation: every event is accepted as it came. Run like `python -m gateway`.

Lines are made as the gateway makes those of plain events; what is left out is everything that looks into an event.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from gateway import intake
from gateway.__main__ import main
from gateway.body import compact


def unchecked_lines(events: Sequence[Any], text: bytes, client: str | None, end: bytes) -> tuple[str, bytes]:
    """Return the client and the lines of events, whatever they are: the place of `gateway.plain.plain_lines`."""
    whose = client or events[0]["client_session_id"]
    tail = b'%b"client_id":%b}\n' % (end, compact(whose))
    return whose, b"{" + (tail + b"{").join(text[2:-2].split(b"},{")) + tail


if __name__ == "__main__":
    intake.plain_lines = unchecked_lines
    sys.exit(main())
