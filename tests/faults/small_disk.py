"""A disk that is really full: a small file system of its own, filled to the last block."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.servers import unavailable

_BALLAST = "ballast"
_PIECE = 64 * 1024


class SmallDisk:
    """A mounted file system of a few MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Take every byte that is left."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as file:
            for size in (_PIECE, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass
        assert self.left() == 0

    def free(self) -> None:
        """Give it back."""
        (self.folder / _BALLAST).unlink()

    def left(self) -> int:
        """Return the bytes that may still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextlib.contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[SmallDisk]:
    """Mount a file system of `mib` MiB on a folder, for root only."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - fixed
    if done.returncode:
        unavailable(f"a small file system cannot be mounted here ({done.stderr.strip()}): run as root")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607 - fixed
