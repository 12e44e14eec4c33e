"""Whose request it is, behind proxies too. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable


class Proxies:
    """The proxies whose word is taken: addresses, and networks (10.0.0.0/16), as a load balancer has many."""

    def __init__(self, named: Iterable[str]) -> None:
        """Take a list; ValueError names the entry that is neither."""
        self._networks = [ipaddress.ip_network(one, strict=False) for one in named]

    def __contains__(self, address: object) -> bool:
        """Whether an address is one of them."""
        try:
            found = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        return any(found in network for network in self._networks)


def client_address(peer: str, forwarded: list[str], trusted: Container[str]) -> str:
    """Return the address of the client.

    `peer` is who is connected, `forwarded` the X-Forwarded-For headers in order. Each proxy appends whom it saw, so
    the list is walked from its end as long as trusted proxies speak; what stands before can be forged.
    """
    address = peer
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    while address in trusted and hops:
        address = hops.pop()
    return address
