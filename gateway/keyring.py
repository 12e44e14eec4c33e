"""The file of signing keys: `<key id> <secret in base64>`, one a line; the first signs, both verify.

`python -m gateway.keyring FILE` puts a new key in front and keeps the one that signed before, so that its tokens
stay good until the next change. A running gateway takes the new file within seconds.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Final

from gateway.tokens import Key, Verifier

MOST_KEYS: Final = 2
_SECRET_BYTES: Final = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyringError(ValueError):
    """The file of keys cannot be used; the text names the line, never a secret."""


class Keyring:
    """The live keys; the first signs."""

    def __init__(self, keys: list[Key]) -> None:
        if not 1 <= len(keys) <= MOST_KEYS:
            raise KeyringError(f"a keyring holds 1 or {MOST_KEYS} keys, not {len(keys)}")
        self.signing = keys[0]
        self.secrets = {key.key_id: key.secret for key in keys}
        if len(self.secrets) != len(keys):
            raise KeyringError(f"two keys share the id {keys[0].key_id}")
        self.verifier = Verifier(self.secrets)
        self._keys = keys

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Return the keys of a file's text."""
        numbered = enumerate(text.splitlines(), 1)
        return cls([_key(number, line) for number, line in numbered if line.strip() and not line.startswith("#")])

    def followed_by(self, key: Key) -> Keyring:
        """Return the keyring in which a new key signs."""
        return Keyring([key, self._keys[0]])

    def render(self) -> str:
        """Return the text of the file."""
        return "".join(f"{key.key_id} {base64.b64encode(key.secret).decode()}\n" for key in self._keys)


def new_key(now: datetime.datetime) -> Key:
    """Return a new key, named after the time of its making."""
    return Key(f"k{now:%Y%m%d%H%M%S}{secrets.token_hex(2)}", secrets.token_bytes(_SECRET_BYTES))


def _key(number: int, line: str) -> Key:
    key_id, _, encoded = line.strip().partition(" ")
    try:
        secret = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        secret = b""
    if not _KEY_ID.fullmatch(key_id) or len(secret) < _SECRET_BYTES:
        raise KeyringError(
            f"line {number} is no key: an id of letters and digits, a blank, at least {_SECRET_BYTES} bytes in base64"
        )
    return Key(key_id, secret)


def main(arguments: list[str]) -> int:
    """Put a new key into a file; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gateway.keyring FILE\n")
        return 2
    path = Path(arguments[0])
    key = new_key(datetime.datetime.now(datetime.UTC))
    try:
        ring = Keyring.parse(path.read_text()).followed_by(key) if path.exists() else Keyring([key])
        fresh = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(ring.render())
        fresh.replace(path)
    except (OSError, KeyringError) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 1
    sys.stdout.write(f"{path}: {key.key_id} signs now, {len(ring.secrets)} key(s) are valid\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
