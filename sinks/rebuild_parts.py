"""The work folder of a rebuild: each raw object's lines as a file of columns, made once, whatever kills the command.

A part is named after its object, the object's ETag and how it was read, and appears under that name only when it is
whole. So a rebuild that begins again takes up what is there and makes the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sinks.part_writers import PartWriters, together
from sinks.raw_days import RawHoleError
from sinks.rebuild_part import Order, Reading
from sinks.rebuild_sources import Found
from sinks.store import StoredObject

#: Changes with what a part holds, so that none of another release is taken up.
_VERSION: Final = 1


class Parts:
    """The parts of one rebuild."""

    def __init__(self, folder: Path, reading: Reading) -> None:
        self.folder: Final = folder
        self._reading = reading

    async def make(self, objects: Sequence[Found], report: Callable[[int], None]) -> list[Path]:
        """Make what is missing and return the parts in the order of their objects; `report`: parts done."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = [self.folder / f"{self._name(number, found)}.parquet" for number, found in enumerate(objects)]
        wanted = {path.name for path in paths}
        for path in self.folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        done = len(paths) - len(missing)
        report(done)

        async def one(writers: PartWriters, number: int) -> None:
            nonlocal done
            found = objects[number]
            order = Order(found.key, found.dt, number, found.foreign, self._reading, paths[number])
            await writers.write(order, lambda: _stored(found))
            done += 1
            report(done)

        with PartWriters(len(missing)) as writers:
            await together(one(writers, number) for number in missing)
        return paths

    def _name(self, number: int, found: Found) -> str:
        facts = (_VERSION, number, found.source.url, found.key, found.etag, self._reading)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


async def _stored(found: Found) -> StoredObject:
    stored = await found.source.store.get(found.key)
    if stored is None or stored.stat.etag != found.etag:
        raise RawHoleError(f"{found.key} was changed while the day was read: run the command again")
    return stored
