"""Tokens: `wt1.<key id>.<install>.<expiry>.<mac>`, verified without a database. Pure; times are epoch seconds.

The mac is HMAC-SHA256 over all that stands before it. Nothing in a token is secret from its owner; without a key
none can be made or changed.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_VERSION: Final = "wt1"
_TOKEN = re.compile(r"(wt1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]{1,64})\.([0-9]{1,12}))\.([A-Za-z0-9_-]{43})")
#: Good tokens that are remembered; an attacker has none to fill this with.
_REMEMBERED: Final = 65_536
#: Stands in for a key that does not exist, so that the answer takes as long.
_NO_KEY: Final = bytes(32)


class Key(NamedTuple):
    """A signing key and the name by which tokens refer to it."""

    key_id: str
    secret: bytes


class TokenError(ValueError):
    """A token is not taken; the text is for its owner and tells nothing about keys."""


def sign(key: Key, install: str, expires_s: int) -> str:
    """Return the token of an install."""
    claims = f"{_VERSION}.{key.key_id}.{install}.{expires_s}"
    return f"{claims}.{_mac(key.secret, claims)}"


class Verifier:
    """Verifies Authorization headers by a set of keys, and remembers good ones: clients come back every few seconds."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys
        #: (install, expiry) by header.
        self._good: dict[str, tuple[str, int]] = {}

    def install_of(self, header: str, now_s: float) -> str:
        """Return the install of `Bearer <token>`; TokenError when there is none, else as `verify`."""
        known = self._good.get(header)
        if known is not None and now_s < known[1]:
            return known[0]
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError("a token is needed: Authorization: Bearer …, from POST /enroll")
        token = token.strip()
        install = verify(token, self._keys, now_s)
        if len(self._good) >= _REMEMBERED:
            self._good.clear()
        self._good[header] = install, int(token.split(".")[3])
        return install


def verify(token: str, keys: Mapping[str, bytes], now_s: float) -> str:
    """Return the install of a token; TokenError when it was not signed by one of the keys, or has expired."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise TokenError("the token is malformed")
    claims, key_id, install, expires, mac = found.groups()
    secret = keys.get(key_id)
    genuine = hmac.compare_digest(_mac(secret or _NO_KEY, claims), mac)
    if secret is None or not genuine:
        raise TokenError("the token is not one of this gateway's")
    if int(expires) <= now_s:
        raise TokenError("the token has expired: enrol again")
    return install


def _mac(secret: bytes, claims: str) -> str:
    digest = hmac.digest(secret, claims.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
