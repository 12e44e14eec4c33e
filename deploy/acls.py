"""Who may do what on the cluster: the one list that `watchtime acls`, the tests and the documents go by. Pure.

A right that Kafka derives from another is not listed: who may read, write, delete or alter may describe as well.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streams.contract.rows import CLIENT
from streams.contract.topics import (
    ARCHIVE_GROUP,
    EVENTS,
    PARTIALS,
    PARTIALS_GROUP,
    REJECTED,
    SINKS_GROUP,
    STATE,
    TOTALS_GROUP,
    daily_tables,
)

ROLES: Final = ("gateway", "streams", "sinks", "reader", "operator")
#: What every topic's name begins with.
TOPICS: Final = "watch."
#: Consumer groups of those who read the public topics begin with this, behind the stack's group.
READERS: Final = "readers-"

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs", "AlterConfigs"]


class Resource(NamedTuple):
    """What a right is about; `prefixed`: everything whose name begins so."""

    kind: Kind
    name: str
    prefixed: bool = False


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Operations that a role may do on resources, and what for."""

    role: str
    operations: tuple[Operation, ...]
    resources: tuple[Resource, ...]
    why: str


class Right(NamedTuple):
    """One line of a cluster's list: a user, an operation, a resource."""

    user: str
    operation: Operation
    resource: Resource


def grants(group: str, *, client_table: bool) -> list[Grant]:
    """Return what each role needs on a stack whose groups begin with `group`."""
    daily = [table.topic for table in daily_tables(client_table=client_table)]
    ours = Resource("group", f"{group}-", prefixed=True)
    fences = Resource("transactional-id", f"{group}-", prefixed=True)
    return [
        _grant("gateway", ["Write"], _topics(EVENTS, REJECTED), "what viewers post, and what was refused of it"),
        _grant("gateway", ["Read"], _topics(*daily), "the live page"),
        _grant("gateway", ["Describe"], [ours], "the live page: how far the stages are"),
        _grant("streams", ["Read"], _topics(EVENTS), "the fold"),
        _grant("streams", ["Read", "Write"], _topics(STATE, PARTIALS), "state, and the way from fold to sums"),
        _grant("streams", ["Read", "Write"], _topics(*daily), "the rows, and which of them are published"),
        _grant("streams", ["Write"], _topics(REJECTED), "unreadable records"),
        _grant("streams", ["DescribeConfigs"], [Resource("topic", TOPICS, prefixed=True)], "the check at its start"),
        _grant("streams", ["Read"], _groups(group, PARTIALS_GROUP, TOTALS_GROUP), "membership"),
        _grant("streams", ["Write"], [fences], "one fenced transaction at a time for each partition"),
        _grant("sinks", ["Read"], _topics(EVENTS, *daily), "archive and files"),
        _grant("sinks", ["Read"], _groups(group, SINKS_GROUP, ARCHIVE_GROUP), "membership"),
        _grant("reader", ["Read"], _topics(EVENTS, REJECTED, *daily), "the public topics"),
        _grant("reader", ["Read"], [Resource("group", f"{group}-{READERS}", prefixed=True)], "groups of its own"),
        _grant(
            "operator",
            ["Create", "Read", "AlterConfigs"],
            [Resource("topic", TOPICS, prefixed=True)],
            "topics, reconcile, rebuild, rejected",
        ),
        _grant("operator", ["Write"], _topics(EVENTS, STATE, PARTIALS, CLIENT.topic), "forget, refold"),
        _grant("operator", ["Delete"], _topics(STATE, PARTIALS), "refold"),
        _grant("operator", ["Write"], [fences], "refold"),
        _grant("operator", ["Read"], [ours], "how far the stages are; refold sets the fold's group back"),
    ]


def rights(
    group: str, *, client_table: bool, roles: Iterable[str] = ROLES, users: dict[str, str] | None = None
) -> list[Right]:
    """Return the lines for a cluster; `users` names the user of a role where it is not `<group>-<role>`."""
    wanted = set(roles)
    return [
        Right((users or {}).get(grant.role) or f"{group}-{grant.role}", operation, resource)
        for grant in grants(group, client_table=client_table)
        if grant.role in wanted
        for resource in grant.resources
        for operation in grant.operations
    ]


def commands(lines: Iterable[Right], bootstrap_servers: str) -> Iterator[str]:
    """Return the lines as commands of Kafka's own tool, of which each takes many of one kind."""
    grouped: dict[tuple[str, Operation, Kind, bool], list[str]] = {}
    for user, operation, resource in lines:
        grouped.setdefault((user, operation, resource.kind, resource.prefixed), []).append(resource.name)
    for (user, operation, kind, prefixed), names in grouped.items():
        words = ["kafka-acls", "--bootstrap-server", bootstrap_servers, "--command-config", "admin.properties", "--add"]
        words += ["--allow-principal", f"User:{user}", "--operation", operation]
        words += ["--resource-pattern-type", "prefixed"] if prefixed else []
        yield shlex.join([*words, *(word for name in names for word in (f"--{kind}", name))])


def _grant(role: str, operations: list[Operation], resources: Iterable[Resource], why: str) -> Grant:
    return Grant(role=role, operations=tuple(operations), resources=tuple(resources), why=why)


def _topics(*names: str) -> Iterator[Resource]:
    return (Resource("topic", name) for name in names)


def _groups(group: str, *names: str) -> Iterator[Resource]:
    return (Resource("group", f"{group}-{name}") for name in names)
