"""Logs of a stack: the supervisor's own, and a cap on the size of each child's."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Final

import structlog

CAP_BYTES: Final = 32 * 1024 * 1024
CHECK_EVERY_S: Final = 5.0

logger = structlog.get_logger()


def configure(file: Path) -> None:
    """Write this process's log to a file, as JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file.open("a", buffering=1)),
        cache_logger_on_first_use=True,
    )


async def keep_small(folder: Path) -> None:
    """Cap the logs in a folder, for ever."""
    while True:
        try:
            await asyncio.to_thread(cap, folder, CAP_BYTES)
        except OSError as error:
            with contextlib.suppress(OSError):  # this log may be on a disk that is full
                logger.error("logs cannot be kept small", folder=str(folder), why=str(error))  # noqa: TRY400 - enough
        await asyncio.sleep(CHECK_EVERY_S)


def cap(folder: Path, cap_bytes: int) -> None:
    """Move the content of each log beyond `cap_bytes` to one older file, and begin it anew.

    The file is emptied in place, because its writer holds it open (for appending) and would follow a rename. Lines
    written between copy and cut are lost: a diagnostic log may do that, nothing is counted from it.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > cap_bytes:
            older, lost = log.with_name(f"{log.name}.1"), None
            try:
                shutil.copyfile(log, older)
            except OSError as error:
                older.unlink()  # a full disk: room is wanted more than half of a copy
                lost = error
            with log.open("r+b") as file:
                file.truncate()
            if lost:
                logger.warning("a log was cut without a copy", log=str(log), why=str(lost))
