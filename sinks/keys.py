"""Where things lie in the lake. Pure: builds keys and reads them back."""

from __future__ import annotations

import re
import uuid
from typing import Final, Literal, NamedTuple, cast, get_args

Format = Literal["parquet", "jsonl"]
FORMATS: Final[tuple[str, ...]] = get_args(Format)

ANALYTICS: Final = "analytics/"
RAW: Final = "raw/"
#: Says with how many shards and in which format the daily files were begun.
LAYOUT_KEY: Final = "analytics/_layout.json"

_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_FORMAT: Final = "|".join(FORMATS)
_FILE: Final = re.compile(
    rf"analytics/(?P<table>\w+)/dt=(?P<dt>{_DAY})/"
    rf"(?:data|part-(?P<shard>\d{{5}})-of-(?P<shards>\d{{5}}))\.(?P<format>{_FORMAT})"
)
_CHUNK: Final = re.compile(
    r"raw/(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/"
    r"(?P<topic>[\w.-]+)-(?P<topic8>[0-9a-f]{8})-(?P<partition>\d+)-(?P<first>\d{20})\.ndjson\.gz"
)


class FileKey(NamedTuple):
    """Key of one daily file: what topic partition `shard` of `shards` says about a day."""

    table: str
    dt: str
    shard: int
    shards: int
    format: Format

    def encode(self) -> str:
        """Return the key in the lake."""
        name = "data" if self.shards == 1 else f"part-{self.shard:05}-of-{self.shards:05}"
        return f"{ANALYTICS}{self.table}/dt={self.dt}/{name}.{self.format}"

    @classmethod
    def parse(cls, key: str) -> FileKey | None:
        """Return the parts of a key, None when it names no daily file."""
        found = _FILE.fullmatch(key)
        if not found:
            return None
        shard, shards = int(found["shard"] or 0), int(found["shards"] or 1)
        return cls(found["table"], found["dt"], shard, shards, cast("Format", found["format"]))


class ChunkKey(NamedTuple):
    """Key of one object of the raw archive: records of one partition, from `first` on, of one hour of day `dt`."""

    dt: str
    topic: str
    topic8: str
    partition: int
    first: int

    def encode(self) -> str:
        """Return the key in the lake."""
        return f"{day_folder(self.dt)}{chunk_prefix(self.topic, self.topic8, self.partition)}{self.first:020}.ndjson.gz"

    @classmethod
    def parse(cls, key: str) -> ChunkKey | None:
        """Return the parts of a key, None when it names no object of the archive (but, say, the reference's)."""
        found = _CHUNK.fullmatch(key)
        if not found:
            return None
        dt = f"{found['year']}-{found['month']}-{found['day']}"
        return cls(dt, found["topic"], found["topic8"], int(found["partition"]), int(found["first"]))


def day_folder(dt: str) -> str:
    """Return the folder of a day's raw objects."""
    return f"{RAW}{dt[:4]}/{dt[5:7]}/{dt[8:10]}/"


def chunk_prefix(topic: str, topic8: str, partition: int) -> str:
    """Return how names of one partition's raw objects begin within a day's folder."""
    return f"{topic}-{topic8}-{partition}-"


def topic8(topic_id: uuid.UUID) -> str:
    """Return what raw keys show of a topic's id: enough to keep topics of one name apart."""
    return topic_id.hex[:8]
