"""What a reconciliation needs to know of a stack, what it finds about a day, and how far the archive must reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sinks.lake import Lake, NoStackError, endpoints, lake_of
from sinks.layout import recorded_day_rule
from sinks.raw_days import Continuity, RawHoleError
from sinks.reconcile_settle import Log, Offsets
from sinks.store import Store
from streams.brokers import Brokers, BrokersError, Security, group_of
from streams.connect import check
from streams.contract.days import DAY_RULES, DayRule, day_start_ms, shift_dt
from streams.contract.topics import EVENTS
from streams.variables import text


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a reconciliation needs to know of a stack."""

    lake: Lake
    bootstrap_servers: str
    security: Security = field(default_factory=Security)
    group: str
    day_rule: DayRule
    #: None: as the broker's topics say.
    client_table: bool | None

    @property
    def brokers(self) -> Brokers:
        """The brokers, and how to get in."""
        return Brokers(self.bootstrap_servers, self.security)

    @classmethod
    def of(cls, data_dir: Path, environ: Mapping[str, str]) -> Stack:
        """Return the stack of a data folder, or of the stages' variables where there is none."""
        found: dict[str, Any] = endpoints(data_dir) or {}
        brokers = _brokers(found, environ)
        table = text(environ, "STREAMS_CLIENT_TABLE")
        client_table = found.get("client_table", None if not table else table == "on")
        return cls(
            lake=lake_of(data_dir, environ),
            bootstrap_servers=brokers.servers,
            security=brokers.security,
            group=found.get("group") or group_of(environ),
            day_rule=text(environ, "STREAMS_DAY") or _recorded_day_rule(data_dir),  # type: ignore[arg-type] # see below
            client_table=client_table,
        )

    async def rule_of_days(self, store: Store) -> DayRule:
        """Return the rule that the lake has recorded, else the stack's own; NoStackError when that is none."""
        rule = await recorded_day_rule(store) or self.day_rule
        if rule not in DAY_RULES:
            raise NoStackError(f"STREAMS_DAY is {rule!r}; it must be one of {', '.join(DAY_RULES)}")
        return rule


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a reconciliation found."""

    dt: str
    #: Rows that are not as they must be.
    drift: int
    #: Rows that were counted, and events in them, each once.
    rows: int
    events: int
    chunks: int
    #: See `Beyond`.
    counted_again: int
    dropped: int
    differences: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the finding for a program."""
        return asdict(self)


async def check_against_log(
    continuity: Continuity, current: str, log: Log, ends: Offsets, raw_days: Sequence[str]
) -> None:
    """Raise RawHoleError unless the chunks hold all lines that the topic took on these days, up to these ends.

    Between themselves the chunks are checked as they are read; here, that none is missing before or after them.
    """
    starts = await log.starts(EVENTS)
    since = await log.since(EVENTS, day_start_ms(raw_days[0]))
    after = await log.since(EVENTS, day_start_ms(shift_dt(raw_days[-1], 1)))
    for place, end in sorted(ends.items()):
        seen = continuity.extent(current, place.partition)
        begin = max(starts.get(place, 0), since.get(place, end))
        stop = min(end, after.get(place, end))
        gaps = [(begin, seen.first), (max(begin, seen.next), stop)] if seen else [(begin, stop)]
        for start, until in gaps:
            # Records without lines at the end are in no chunk yet.
            if start < until and await log.has_lines(place, start, until):
                raise RawHoleError(
                    f"partition {place.partition}: offsets {start} to {until - 1} are in the topic and in no raw "
                    "object, but the archive says that it has written them",
                )


def _brokers(found: Mapping[str, Any], environ: Mapping[str, str]) -> Brokers:
    """Return the brokers of a local stack, which ask for nothing, or else those that the variables name."""
    if found.get("bootstrap_servers"):
        return Brokers(found["bootstrap_servers"])
    try:
        brokers = Brokers.from_env(environ)
        check(brokers)
    except BrokersError as error:
        raise NoStackError(str(error)) from error
    return brokers


def _recorded_day_rule(data_dir: Path) -> str:
    """Return the day rule that a local stack has recorded for the life of its data."""
    try:
        return str(orjson.loads((data_dir / "stack.json").read_bytes())["day"])
    except FileNotFoundError:
        return "event"
