"""Keys of topics, and the partitions they go to.

Ids and names may hold any character, the separator too: `dt` is split off at the front, `p` at the back.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, cast

from streams.contract.rows import Kind

_MASK: Final = 0xFFFFFFFF
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


class PartialKey(NamedTuple):
    """Key of `watch.partials`: the share that raw partition `p` holds of a row."""

    dt: str
    kind: Kind
    row_id: str
    p: int

    def encode(self) -> bytes:
        """Return the key as bytes of UTF-8."""
        return f"{self.dt}|{self.kind}|{self.row_id}|{self.p}".encode()

    @classmethod
    def decode(cls, key: bytes) -> PartialKey:
        """Return the parts of a key; ValueError when it is none."""
        dt, kind, rest = key.decode().split("|", 2)
        row_id, p = rest.rsplit("|", 1)
        return cls(dt, cast("Kind", kind), row_id, int(p))


def daily_key(dt: str, kind: Kind, row_id: str) -> bytes:
    """Return the key of a row in its daily topic: `dt|id`; of an ingest row: `dt`."""
    return dt.encode() if kind == "ingest" else f"{dt}|{row_id}".encode()


def decode_daily_key(key: bytes) -> tuple[str, str]:
    """Return (dt, id) of a daily key; the id of an ingest row is empty. ValueError for what is none."""
    dt, _, row_id = key.decode().partition("|")
    if _DAY(dt) is None:
        raise ValueError(f"{key[:64]!r} names no day")
    return dt, row_id


def shard_of(dt: str, kind: Kind, row_id: str, shards: int) -> int:
    """Return the partition of a row in `watch.partials` and its daily topic, so that all its shares meet."""
    return partition_of(daily_key(dt, kind, row_id), shards) if shards > 1 else 0


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit MurmurHash2 of `data` (seed 0x9747B28C), as an unsigned number."""
    length = len(data)
    whole = length & ~3
    digest = 0x9747B28C ^ length
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * 0x5BD1E995 & _MASK
        word = (word ^ word >> 24) * 0x5BD1E995 & _MASK
        digest = (digest * 0x5BD1E995 & _MASK) ^ word
    if length != whole:
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & _MASK
    digest = (digest ^ digest >> 13) * 0x5BD1E995 & _MASK
    return digest ^ digest >> 15
