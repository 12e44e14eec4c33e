"""The one base of errors that a user can act on: commands print their text, without a traceback, and exit 1."""

from __future__ import annotations


class DeployError(Exception):
    """Something is not as a command needs it; the text says what, and what to do."""
