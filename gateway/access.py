"""Who a request comes from, and whether it may go on: tokens (401), viewers (401), limits of requests (429)."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from gateway.addresses import Proxies, client_address
from gateway.answers import Refusal
from gateway.buckets import Buckets
from gateway.keyring import Keyring
from gateway.lists import entries
from gateway.settings import Settings
from gateway.tokens import TokenError
from gateway.watched_file import WatchedFile

#: Limits that hold by default where authentication is on, requests a second.
_INSTALL_RATE: Final = 5
_ADDRESS_RATE: Final = 50
#: Wrong passwords per address: so many at once, then one each 10 s.
_WRONG_RATE: Final = 0.1
_WRONG_BURST: Final = 10


class Access:
    """The rules as set for one gateway."""

    def __init__(self, settings: Settings) -> None:
        self.auth: Final = settings.auth
        self._proxies = Proxies(settings.trusted_proxies)
        self._files: list[WatchedFile[Keyring] | WatchedFile[frozenset[str]]] = []
        self._keyring: WatchedFile[Keyring] | None = None
        if settings.auth and settings.keys_file is not None:
            self._keyring = WatchedFile(settings.keys_file, Keyring.parse)
            self._files.append(self._keyring)
        self._revoked = self._list(settings, "revoked_file", may_be_missing=True)
        self._viewers = self._list(settings, "viewers_file")
        self._invites = self._list(settings, "invites_file")
        self._by_install = _buckets(settings.limit("install_rate", _INSTALL_RATE), settings.install_burst)
        self._by_address = _buckets(settings.limit("address_rate", _ADDRESS_RATE), settings.address_burst)
        self._wrong = Buckets(_WRONG_RATE, _WRONG_BURST)

    @property
    def keyring(self) -> Keyring:
        """The live keys; only where authentication is on."""
        assert self._keyring is not None  # noqa: S101 - settings demand the file
        return self._keyring.value

    def install_of(self, request: web.Request) -> str | None:
        """Return the install of a request's token, None on an open gateway; Refusal 401 when it has no good one."""
        if not self.auth:
            return None
        header = request.headers.get("Authorization", "")
        try:
            install = self.keyring.verifier.install_of(header, time.time())
        except TokenError as error:
            raise _no_entry(str(error)) from error
        if install in self._revoked():
            raise _no_entry("the token was revoked")
        return install

    def throttle(self, request: web.Request, install: str | None) -> None:
        """Count a request against the limits of its install and address; Refusal 429 when one is reached."""
        if self._by_install is None and self._by_address is None:
            return
        now_s = time.monotonic()
        if self._by_install is not None and install is not None and (wait_s := self._by_install.take(install, now_s)):
            raise _too_many(wait_s, "install")
        if self._by_address is not None and (wait_s := self._by_address.take(self.address_of(request), now_s)):
            raise _too_many(wait_s, "address")

    def address_of(self, request: web.Request) -> str:
        """Return the address of the client, whom a trusted proxy names."""
        peer = request.remote or ""
        return client_address(peer, request.headers.getall("X-Forwarded-For", []), self._proxies)

    def invited(self, code: str) -> bool:
        """Whether somebody who names this code may enrol."""
        return _is_one_of(code, self._invites())

    def demand_viewer(self, request: web.Request) -> None:
        """Let everybody look at an open gateway, else who knows a name and password; Refusal 401 or 429."""
        if not self.auth:
            return
        address, now_s = self.address_of(request), time.monotonic()
        given = _basic(request.headers.get("Authorization", ""))
        if given is not None and _is_one_of(given, self._viewers()):
            return
        if given is not None and (wait_s := self._wrong.take(address, now_s)):
            raise _too_many(wait_s, "viewer")
        headers = {"WWW-Authenticate": 'Basic realm="Watchtime", charset="UTF-8"'}
        raise Refusal(401, "Not let in: name and password are needed", "viewer", headers)

    def refresh(self) -> None:
        """Take files that have changed."""
        for file in self._files:
            file.refresh()

    def _list(self, settings: Settings, name: str, *, may_be_missing: bool = False) -> Callable[[], frozenset[str]]:
        path = getattr(settings, name)
        if path is None or not settings.auth:
            return frozenset
        none: frozenset[str] = frozenset()
        file = WatchedFile(path, entries, missing=none if may_be_missing else None)
        self._files.append(file)
        return lambda: file.value


def _buckets(rate: int, burst: int) -> Buckets | None:
    return Buckets(rate, burst) if rate else None


def _no_entry(why: str) -> Refusal:
    return Refusal(401, f"Not let in: {why}", "token", {"WWW-Authenticate": "Bearer"})


def _too_many(wait_s: float, whose: str) -> Refusal:
    after = {"Retry-After": str(math.ceil(wait_s))}
    return Refusal(429, f"Too many requests from this {whose}; come back later", f"rate_{whose}", after)


def _is_one_of(given: str, known: frozenset[str]) -> bool:
    """Compare with every entry, so that the time taken tells nothing about how much of one was right."""
    found = False
    for entry in known:
        found |= hmac.compare_digest(given.encode(errors="surrogateescape"), entry.encode())
    return found


def _basic(header: str) -> str | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
