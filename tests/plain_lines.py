"""Raw lines for tests of the recount: taken in as the commands take them, and read again in the plainest way."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from sinks.rebuild_part import Order, Reading, write_part
from sinks.reconcile import Recount


def take_in(recount: Recount, lines: Sequence[bytes], broker_dt: str) -> None:
    """Let a recount look at the lines of one raw object; places are their numbers."""
    body = gzip.compress(b"".join(line + b"\n" for line in lines))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "part.parquet")
        write_part(Order("raw/object", broker_dt, 0, foreign=False, reading=Reading(), path=path), body)
        recount.look_at([path])
        # The lines stay when the file goes.
        recount.connection.execute("CREATE TABLE taken_in AS FROM line")
        recount.connection.execute("CREATE OR REPLACE VIEW line AS FROM taken_in")


def plain_columns(line: bytes) -> dict[str, Any]:
    """Return a line's columns but for its place, with text as bytes, by looking at each field of its JSON."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        event = None
    if not isinstance(event, dict) or any(event.get(name) is None for name in ("event_type", "event_ts", "tab_id")):
        return {"valid": False}
    seq, epoch = _int(event.get("seq")), _text(event.get("seq_epoch"))
    numbered = seq is not None and epoch is not None and 0 <= seq < 2**53
    event_id = event.get("event_id")
    return {
        "valid": True,
        "delivered_ms": _int(event.get("received_at")),
        "event_ts": _int(event["event_ts"]),
        "tz_offset_min": _int(event.get("tz_offset_min")),
        "event_type": _text(event["event_type"]),
        "video": _text(event.get("video_id")),
        "channel": _text(event.get("channel_name")),
        "delta_ms": _int(event.get("watch_ms_delta")),
        "background": event.get("watch_mode") == "background",
        "ad": event.get("ad") is True,
        "client": _text(event.get("client_id")) or _text(event.get("client_session_id")),
        "seq_epoch": epoch if numbered else None,
        "seq": seq if numbered else None,
        # An empty id is an id; one with a number is not looked at.
        "event_id": event_id.encode() if isinstance(event_id, str) and not numbered else None,
    }


def _int(value: object) -> int | None:
    """Return an integer of signed 64 bit; true and 1.0 are none."""
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _text(value: object) -> bytes | None:
    """Return a string that is not empty."""
    return value.encode() if isinstance(value, str) and value else None
