"""A file whose content counts as soon as it changes, without a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


class WatchedFile(Generic[T]):
    """The parsed content of a file. A broken new version is logged and the last good one goes on."""

    def __init__(self, path: Path, parse: Callable[[str], T], *, missing: T | None = None) -> None:
        """Read the file; OSError or the parser's ValueError when that fails. `missing`: value without a file."""
        self._path = path
        self._parse = parse
        self._missing = missing
        self._seen, self.value = self._read()

    def refresh(self) -> None:
        """Read the file again if it is another one than before."""
        try:
            seen = self._stamp()
            if seen == self._seen:
                return
            self._seen = seen  # also when it is broken: said once, not every second
            if seen is None:  # a list that vanishes must not let back in whom it kept out
                raise FileNotFoundError("the file is gone")
            _, self.value = self._read()
        except (OSError, ValueError) as error:
            log.error("file not taken, the last good version goes on", path=str(self._path), why=str(error))  # noqa: TRY400
        else:
            log.info("file taken", path=str(self._path))

    def _read(self) -> tuple[object, T]:
        stamp = self._stamp()
        if stamp is None and self._missing is not None:
            return stamp, self._missing
        return stamp, self._parse(self._path.read_text())

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
