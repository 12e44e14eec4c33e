"""The list of rights as data: who may do what, and who may not. The cluster's own word is in tests/brokers."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path

import pytest

from deploy.acls import ROLES, Grant, commands, grants, rights
from deploy.acls_command import KINDS, OPERATIONS
from deploy.cli import main
from streams.contract.rows import CLIENT
from streams.contract.topics import topics

EVERY = rights("watchtime", client_table=True)


def may(role: str, operation: str, kind: str) -> set[str]:
    """Return the names that a role may do an operation on; `x*` for a prefix."""
    return {
        resource.name + "*" * resource.prefixed
        for user, found, resource in EVERY
        if (user, found, resource.kind) == (f"watchtime-{role}", operation, kind)
    }


def test_the_gateway_cannot_read_what_viewers_posted():
    assert may("gateway", "Write", "topic") == {"watch.events", "watch.rejected"}
    assert not may("gateway", "Read", "topic") & {"watch.events", "watch.rejected", "watch.state", "watch.partials"}


@pytest.mark.parametrize("role", ["sinks", "reader"])
def test_who_only_reads_cannot_write(role):
    assert {operation for user, operation, _ in EVERY if user == f"watchtime-{role}"} == {"Read"}


def test_only_the_operator_makes_and_deletes():
    for operation in ("Create", "Delete", "AlterConfigs"):
        assert [role for role in ROLES if may(role, operation, "topic")] == ["operator"]
    assert may("operator", "Delete", "topic") == {"watch.state", "watch.partials"}


def test_transactions_are_of_streams_and_the_operator():
    assert [role for role in ROLES if may(role, "Write", "transactional-id")] == ["streams", "operator"]


def test_nobody_has_rights_on_all_things_or_on_the_cluster():
    assert {resource.kind for _, _, resource in EVERY} == set(KINDS)
    assert {operation for _, operation, _ in EVERY} <= set(OPERATIONS)
    assert all(resource.name.startswith(("watch.", "watchtime-")) for _, _, resource in EVERY)


def test_every_topic_is_written_and_read_by_somebody():
    written = set().union(*(may(role, "Write", "topic") for role in ("gateway", "streams")))
    read = set().union(*(may(role, "Read", "topic") for role in ROLES))

    names = {topic.name for topic in topics(4, 1, client_table=True)}
    assert names <= written
    assert names <= read


@pytest.mark.parametrize("client_table", [True, False])
def test_the_client_table_is_of_those_who_have_it(client_table):
    about = {right.user for right in rights("watchtime", client_table=client_table) if CLIENT.topic in right.resource}

    # Old rows stay when the table is switched off, and `forget` takes them away.
    assert about == ({f"watchtime-{role}" for role in ROLES} if client_table else {"watchtime-operator"})


def test_each_grant_says_what_for():
    assert all(grant.why and grant.operations and grant.resources for grant in grants("g", client_table=True))


def test_users_have_the_names_that_were_given():
    lines = rights("g", client_table=False, roles=["sinks", "reader"], users={"reader": "CN=reports"})

    assert {right.user for right in lines} == {"g-sinks", "CN=reports"}


def test_the_commands_say_the_same_as_the_list():
    told = set()
    for command in commands(EVERY, "b:9096"):
        words = shlex.split(command)
        pairs = list(itertools.pairwise(words))
        (user,) = [value.removeprefix("User:") for name, value in pairs if name == "--allow-principal"]
        (operation,) = [value for name, value in pairs if name == "--operation"]
        told |= {
            (user, operation, kind, value, ("--resource-pattern-type", "prefixed") in pairs)
            for name, value in pairs
            if (kind := name.removeprefix("--")) in KINDS
        }
        assert ("--bootstrap-server", "b:9096") in pairs

    assert told == {(right.user, right.operation, *right.resource) for right in EVERY}


def test_the_command_prints_commands_or_json(capsys, monkeypatch):
    monkeypatch.setenv("WATCHTIME_GROUP", "panel")

    assert main(["acls", "sinks", "--user", "sinks=files"]) == 0
    assert capsys.readouterr().out.count("--allow-principal User:files") == 2
    assert main(["acls", "--json"]) == 0
    assert {grant["role"] for grant in json.loads(capsys.readouterr().out)} == set(ROLES)


def test_a_role_that_does_not_exist(capsys):
    assert main(["acls", "root"]) == 1
    assert "no such role: root; there are gateway, streams" in capsys.readouterr().err


def test_the_document_has_the_same_list():
    document = (Path(__file__).parents[3] / "docs" / "brokers.md").read_text()

    assert [line for line in document.splitlines() if line.startswith(tuple(f"| {role} |" for role in ROLES))] == [
        table_row(grant) for grant in grants("watchtime", client_table=False)
    ]


def table_row(grant: Grant) -> str:
    """Return a grant as a line of the document's table."""
    names = ", ".join(f"`{resource.name}{'*' * resource.prefixed}`" for resource in grant.resources)
    return f"| {grant.role} | {', '.join(grant.operations)} | {grant.resources[0].kind} | {names} | {grant.why} |"
