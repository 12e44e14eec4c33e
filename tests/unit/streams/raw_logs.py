"""Raw logs as hypothesis makes them: clients that repeat, come late, move clocks, show ads, and send nonsense."""

from __future__ import annotations

import json
import random
from typing import Any, Final

from hypothesis import strategies as st

from tests.unit.streams.plain_fold import DAY, HOUR, MINUTE, RawRecord

START_MS: Final = 1_760_000_123_456
PARTITIONS: Final = 3
ABSENT: Final = object()

ODD = [None, True, 1, 1.5, "x", "", [], {"a": 1}]
CLIENTS = ["ann", "bob", "cy|0", "d\u2028\U0001f600", '"e"]']
VIDEOS = ["v1", "v2", "v|3", "|", "vidéo", "1"]
CHANNELS = ["Chan", "Chan ", "A|B|0", "\uffff", "\U00010000", "é"]
#: Clock of the event against its delivery: the ends of what is believed, one beside them, and usual ones.
AGES = [0, 1_000, 5 * HOUR, DAY, 7 * DAY, 7 * DAY + 1, -10 * MINUTE, -10 * MINUTE - 1, 40 * DAY, -DAY]
SKEWS = [0, 0, -250, 250, HOUR, HOUR + 1, -HOUR, -HOUR - 1]
ADS = [False, True]
INVALID_LINES = [
    b"",
    b" ",
    b"{",
    b"[1]",
    b"null",
    b'"x"',
    b"\xff",
    b'{"event_type":"video_start"}',
    b'{"event_type":"video_start","event_ts":null,"tab_id":"t"}',
    b'{"event_type":"video_start","event_ts":1,"tab_id":"t","url":"\xc3"}',
    b'{"event_type":"video_start","event_ts":1,"tab_id":"t","x":NaN}',
    b'{"event_type":"video_start","event_ts":1,"tab_id":"t"}{}',
    b'{"event_type":"video_start",\r"event_ts":1,"tab_id":"t"',
]


def _mostly(*usual: Any, odd: list[Any] = ODD, absent: bool = True) -> list[Any]:
    odd = [ABSENT, *odd] if absent else odd
    return [*(value for value in usual for _ in range(max(1, 3 * len(odd) // len(usual)))), *odd]


FIELDS: dict[str, list[Any]] = {
    "event_type": _mostly("watch_tick", "watch_tick", "watch_tick", "video_start", odd=["video_stop", 7], absent=False),
    "tab_id": _mostly("t", odd=[0, False, ""], absent=False),
    "video_id": _mostly(*VIDEOS),
    "channel_name": _mostly(*CHANNELS),
    "watch_ms_delta": _mostly(1, 10_000, 60_000, odd=[0, -1, 60_001, 2**70, *ODD]),
    "watch_mode": _mostly("foreground", "background", "absent"),
    "ad": _mostly(ABSENT, *ADS, odd=["true", 1, None]),
    "seq": _mostly(*range(8), odd=[ABSENT] * 8 + [-1, 2**53 - 1, 2**53, 2**64, 3.0, True, None, "4"]),
    "seq_epoch": _mostly("boot-1", "boot-2", "b|3", odd=["", None, 5]),
    "event_id": _mostly(*(f"id-{n}" for n in range(8)), odd=["", None, 3]),
    "client_session_id": _mostly("session", odd=["", None, 9]),
    "tz_offset_min": _mostly(-60, 420, 840, -840, odd=[841, -841, 60.0, "60", None, True]),
    "url": _mostly(ABSENT, "https://www.youtube.com/watch?v=\u2028", odd=[{"event_ts": None}]),
}


def line(seed: int, client: str, broker_ms: int) -> bytes:
    """One line of a record, without its newline. From a seed: drawing each field by hypothesis would take seconds."""
    pick = random.Random(seed)
    if pick.random() < 0.08:
        return pick.choice(INVALID_LINES)
    event = {name: pick.choice(values) for name, values in FIELDS.items()}
    delivered_ms = broker_ms + pick.choice(SKEWS)
    event["client_id"] = client if pick.random() < 0.9 else pick.choice([ABSENT, "", None, 4])
    event["received_at"] = delivered_ms if pick.random() < 0.9 else pick.choice([ABSENT, "1", True, 1.5])
    near = abs(delivered_ms - broker_ms) <= HOUR and event["received_at"] == delivered_ms
    event_ts = (delivered_ms if near else broker_ms) - pick.choice(AGES)
    event["event_ts"] = event_ts if pick.random() < 0.95 else pick.choice(["soon", 1.5, True, 2**80])
    fields = {name: value for name, value in event.items() if value is not ABSENT}
    return json.dumps(fields, ensure_ascii=pick.random() < 0.5).encode()


line_seeds = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5)


@st.composite
def raw_logs(draw: st.DrawFn, *, long_gaps: bool = False, forget: bool = False) -> list[RawRecord]:
    """Records of several raw partitions in the order of their append times; a client stays in its partition."""
    records = []
    broker_ms, offsets = START_MS, [0] * PARTITIONS
    gaps = [0, 1, 1_000, 25 * MINUTE, *([DAY, 9 * DAY, 36 * DAY] if long_gaps else [])]
    for _ in range(draw(st.integers(1, 14))):
        broker_ms += draw(st.sampled_from(gaps))
        client = draw(st.sampled_from(CLIENTS))
        p = CLIENTS.index(client) % PARTITIONS
        offset = offsets[p]
        offsets[p] += draw(st.sampled_from([1, 1, 1, 2]))  # aborted transactions leave holes
        if forget and draw(st.integers(0, 5)) == 0:
            records.append(RawRecord(p, offset, broker_ms, forget=client))
            continue
        value = b"\n".join([line(seed, client, broker_ms) for seed in draw(line_seeds)])
        records.append(RawRecord(p, offset, broker_ms, value + draw(st.sampled_from([b"\n", b"\n", b"\n", b""]))))
    return records
