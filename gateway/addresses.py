"""Whose request it is, behind proxies too. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet


def client_address(peer: str, forwarded: list[str], trusted: AbstractSet[str]) -> str:
    """Return the address of the client.

    `peer` is who is connected, `forwarded` the X-Forwarded-For headers in order. Each proxy appends whom it saw, so
    the list is walked from its end as long as trusted proxies speak; what stands before can be forged.
    """
    address = peer
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    while address in trusted and hops:
        address = hops.pop()
    return address
