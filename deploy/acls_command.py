"""`watchtime acls`: the rights that each role needs on a cluster, as commands of Kafka's tool; `--apply` sets them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from deploy.acls import ROLES, Grant, Kind, Operation, Right, commands, grants, rights
from deploy.errors import DeployError
from streams.brokers import Address, Brokers, BrokersError, group_of
from streams.connect import client_options

#: Kafka's numbers of what we name.
KINDS: Final[dict[Kind, int]] = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS: Final[dict[Operation, int]] = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
LITERAL: Final = 3
PREFIXED: Final = 4
ALLOW: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; their defaults are the variables that the stages read."""
    at = os.environ.get
    parser.add_argument("roles", nargs="*", metavar="role", help=f"only these: {', '.join(ROLES)} (all)")
    parser.add_argument("--group", default=group_of(os.environ), metavar="G", help="the stack's group")
    parser.add_argument(
        "--user",
        dest="users",
        type=_user,
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="the user of a role (<group>-<role>); may be given again",
    )
    parser.add_argument("--client-table", choices=("on", "off"), default=at("STREAMS_CLIENT_TABLE", "off"))
    parser.add_argument("--apply", action="store_true", help="set them, as the user that the KAFKA_ variables name")
    parser.add_argument("--json", action="store_true", help="print the grants and what each is for, as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if unknown := set(args.roles) - set(ROLES):
        raise DeployError(f"no such role: {', '.join(sorted(unknown))}; there are {', '.join(ROLES)}")
    client_table = args.client_table == "on"
    lines = rights(args.group, client_table=client_table, roles=args.roles or ROLES, users=dict(args.users))
    try:
        brokers = Brokers.from_env(os.environ)
        if args.apply:
            asyncio.run(apply(brokers, lines))
    except BrokersError as error:
        raise DeployError(str(error)) from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise DeployError(f"the broker at {brokers} did not answer: {error!r}") from error
    if args.apply:
        sys.stdout.write(f"{len(lines)} rights are set for {len({line.user for line in lines})} users\n")
    elif args.json:
        found = grants(args.group, client_table=client_table)
        told = [_told(grant) for grant in found if grant.role in (args.roles or ROLES)]
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
    else:
        sys.stdout.writelines(f"{command}\n" for command in commands(lines, brokers.servers))
    return 0


async def apply(brokers: Address, lines: Sequence[Right]) -> None:
    """Add rights to a cluster's list; one that is there already stays as it is. DeployError when one is refused."""
    client = AIOKafkaClient(**client_options(brokers))
    try:
        await client.bootstrap()
        for line in lines:
            user, operation, (kind, name, prefixed) = line
            pattern = PREFIXED if prefixed else LITERAL
            request = CreateAclsRequest(KINDS[kind], name, pattern, f"User:{user}", "*", OPERATIONS[operation], ALLOW)
            answer = await client.send(client.get_random_node(), request)
            for code, message in answer.creation_responses:
                if code:
                    raise DeployError(
                        f"{brokers} did not let {user} {operation} {kind} {name}: {for_code(code).__name__}: "
                        f"{message or 'no reason given'}"
                    )
    finally:
        await client.close()


def _told(grant: Grant) -> dict[str, Any]:
    return {**asdict(grant), "resources": [resource._asdict() for resource in grant.resources]}


def _user(text: str) -> tuple[str, str]:
    role, _, name = text.partition("=")
    if role not in ROLES or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: give ROLE=NAME, a role being one of {', '.join(ROLES)}")
    return role, name
