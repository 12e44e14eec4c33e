"""Ports are claimed once, and never those of a running server."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local.ports import FIRST, LAST, PortClaims, free_port, is_free


def test_a_listening_server_is_seen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        assert not is_free(server.getsockname()[1])


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert FIRST <= free_port() <= LAST


def test_two_stacks_never_choose_the_same_port(tmp_path: Path) -> None:
    one, other = PortClaims(tmp_path), PortClaims(tmp_path)
    port = free_port()

    assert one.choose([port]) == port
    assert other.choose([port]) != port
    assert one.choose([port]) != port


def test_ports_of_others_are_left_to_them(tmp_path: Path) -> None:
    port = free_port()

    assert PortClaims(tmp_path).choose([port], taken={port}) != port
