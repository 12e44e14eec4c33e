"""What a stack is made with: options of the command, variables of the user, and what its data folder remembers.

Some facts hold for the life of the data: they are written into `stack.json`, and another wish is refused there and
then, because a changed partition count or day rule would quietly break sums that are already made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from deploy.errors import DeployError
from streams.brokers import group_of
from streams.contract.topics import DEFAULT_PARTITIONS, DEFAULT_SHARDS
from streams.variables import text

_T = TypeVar("_T")

BUCKET: Final = "watchtime"
RECORD_VERSION: Final = 1
ANEW: Final = "use another --data-dir, and bring old days over with `watchtime rebuild --dt DAY --from LAKE`"


class StackError(DeployError):
    """The stack cannot be run as asked; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `watchtime up` was asked for; None: not said."""

    data_dir: Path
    gateway_port: int | None = None
    workers: int | None = None
    sink_workers: int | None = None
    partitions: int | None = None
    shards: int | None = None
    refresh_s: float | None = None
    lake: str | None = None
    #: Stages or children to start; none: all of them.
    stages: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the options for another process."""
        return json.dumps(asdict(self) | {"data_dir": str(self.data_dir)})

    @classmethod
    def from_json(cls, text: str) -> Options:
        """Return what `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"data_dir": Path(values["data_dir"]), "stages": tuple(values["stages"])})


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What holds for the life of a data folder; the metadata name the option and the way to another value."""

    #: P, partitions of watch.events.
    partitions: int = field(default=DEFAULT_PARTITIONS, metadata={"said": "--partitions", "way": ANEW})
    #: Q, partitions of the daily topics and part files of a day.
    shards: int = field(default=DEFAULT_SHARDS, metadata={"said": "--shards", "way": ANEW})
    #: Rule by which an event gets its day.
    day: str = field(default="event", metadata={"said": "STREAMS_DAY", "way": ANEW})
    #: Format of the daily files.
    format: str = field(default="parquet", metadata={"said": "SINKS_FORMAT", "way": ANEW})
    #: Where files go: s3://bucket[/prefix] or file:///folder.
    lake: str = field(
        default=f"s3://{BUCKET}",
        metadata={"said": "--lake", "way": "the archive goes on where it began; use another --data-dir"},
    )
    #: Whether a bucket is on the stack's own S3 server: the same name elsewhere is another lake. None: a folder, or not
    #: recorded by the release that made the stack.
    own_s3: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Config:
    """A stack, decided."""

    data_dir: Path
    facts: Facts
    workers: int
    sink_workers: int
    refresh_s: float
    client_table: str
    group: str
    #: Seconds after midnight UTC at which the day before is reconciled; None: never.
    reconcile_after_s: float | None
    #: Port that the user named, so that no other will do.
    gateway_port: int | None
    #: Endpoint of a store outside this stack ("": AWS), None: the stack runs its own S3 server or writes to a folder.
    outer_s3_endpoint: str | None

    @property
    def bucket(self) -> str:
        """Bucket of the lake; empty for a folder."""
        scheme, _, rest = self.facts.lake.partition("://")
        return rest.partition("/")[0] if scheme == "s3" else ""

    @property
    def runs_s3(self) -> bool:
        """Whether the stack starts an S3 server."""
        return bool(self.facts.own_s3)


def decide(options: Options, environ: Mapping[str, str], recorded: Facts | None) -> Config:
    """Return the stack to run; options win over variables, and what is recorded over defaults."""
    said: dict[str, Any] = {
        "partitions": _either(options.partitions, _integer(environ, "STREAMS_PARTITIONS")),
        "shards": _either(options.shards, _integer(environ, "STREAMS_SHARDS")),
        "day": text(environ, "STREAMS_DAY") or None,
        "format": text(environ, "SINKS_FORMAT") or None,
        "lake": _either(options.lake, text(environ, "SINKS_LAKE") or None),
    }
    facts = Facts(**{name: value for name, value in said.items() if value is not None})
    if recorded is not None:
        _refuse_changes(options.data_dir, said, recorded)
        facts = recorded
    outer_s3_endpoint = environ.get("SINKS_S3_ENDPOINT")
    own_s3 = outer_s3_endpoint is None if facts.lake.startswith("s3://") else None
    if facts.own_s3 is not None and own_s3 != facts.own_s3:
        raise StackError(_other_store(options.data_dir, facts))
    config = Config(
        data_dir=options.data_dir,
        facts=replace(facts, own_s3=own_s3),
        workers=1 if options.workers is None else options.workers,
        sink_workers=1 if options.sink_workers is None else options.sink_workers,
        refresh_s=_seconds(environ, "SINKS_REFRESH_S", 10.0) if options.refresh_s is None else options.refresh_s,
        client_table=environ.get("STREAMS_CLIENT_TABLE") or "off",
        group=group_of(environ),
        reconcile_after_s=_reconcile_after_s(environ.get("WATCHTIME_RECONCILE_AT") or "00:30"),
        gateway_port=_either(options.gateway_port, _integer(environ, "GATEWAY_PORT")),
        outer_s3_endpoint=outer_s3_endpoint,
    )
    _check(config)
    return config


def read_record(data_dir: Path) -> tuple[Facts | None, dict[str, int]]:
    """Return the facts of a data folder and the ports it used last; (None, {}) for a new one."""
    file = data_dir / "stack.json"
    if not file.exists():
        return None, {}
    record = json.loads(file.read_text())
    if record["version"] > RECORD_VERSION:
        raise StackError(f"{file} was written by a newer Watchtime (version {record['version']}); update this one")
    known = {entry.name for entry in fields(Facts)}
    return Facts(**{name: value for name, value in record.items() if name in known}), record["ports"]


def write_record(data_dir: Path, facts: Facts, ports: Mapping[str, int]) -> None:
    """Remember facts and ports."""
    replace_json(data_dir / "stack.json", {"version": RECORD_VERSION, **asdict(facts), "ports": dict(ports)})


def replace_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old or the new one whole; for its owner's eyes only."""
    partial = file.with_name(f".{file.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(file)


def _refuse_changes(data_dir: Path, said: Mapping[str, Any], recorded: Facts) -> None:
    for entry in fields(Facts):
        wish, is_now = said.get(entry.name), getattr(recorded, entry.name)
        if wish is not None and wish != is_now:
            raise StackError(
                f"{data_dir} was made with {entry.metadata['said']} {is_now}, now {wish} is asked for. "
                f"This cannot change under existing data: {entry.metadata['way']}."
            )


def _other_store(data_dir: Path, facts: Facts) -> str:
    if facts.own_s3:
        was, way = "the stack's own S3 server, now SINKS_S3_ENDPOINT asks for another store", "unset the variable"
    else:
        was = "a store outside the stack, now SINKS_S3_ENDPOINT is not set, which asks for the stack's own S3 server"
        way = "set it as it was (empty: AWS)"
    return (
        f"{data_dir} has its lake {facts.lake} on {was}. "
        f"This cannot change under existing data: {way}, or use another --data-dir."
    )


def _check(config: Config) -> None:
    counts = {
        "--partitions": config.facts.partitions,
        "--shards": config.facts.shards,
        "--workers": config.workers,
        "--sink-workers": config.sink_workers,
    }
    for name, value in counts.items():
        if value < 1:
            raise StackError(f"{name} is {value}, at least 1 is needed")
    if not config.refresh_s > 0:  # nan too
        raise StackError(f"--refresh-s is {config.refresh_s}, more than 0 is needed")
    if not config.bucket and not config.facts.lake.startswith("file:///"):
        raise StackError(f"--lake is {config.facts.lake!r}, expected s3://bucket[/prefix] or file:///folder")


def _reconcile_after_s(text: str) -> float | None:
    if text == "off":
        return None
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise StackError(f"WATCHTIME_RECONCILE_AT is {text!r}, expected a time (UTC) as 00:30, or off")
    return int(found[1]) * 3_600.0 + int(found[2]) * 60.0


def _integer(environ: Mapping[str, str], name: str) -> int | None:
    found = text(environ, name)
    if not found:
        return None
    try:
        return int(found)
    except ValueError:
        raise StackError(f"{name} is {found!r}, expected a whole number") from None


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise StackError(f"{name} is {text!r}, expected a number of seconds") from None


def _either(first: _T | None, second: _T | None) -> _T | None:
    return second if first is None else first
