"""Whether the rows of a day in memory may replace the file of that day in the lake. Pure.

A file is only ever replaced by rows that go further in the same topic, and never by fewer rows or lower sums
in the same generation: whatever lost data shall stop the worker, not the file. But rows of clients may be forgotten.
"""

from __future__ import annotations

from sinks.files import DayFile
from sinks.provenance import FileProvenance
from sinks.tables import DaySnapshot
from streams.contract.rows import CLIENT


class ReadAgainError(Exception):
    """What the lane holds is behind the lake: locate it again and feed it from there."""

    def __init__(self, key: str, offset: int, position: int) -> None:
        super().__init__(f"{key} goes up to offset {offset}, but only offsets below {position} were read")
        #: Offset that the object knows.
        self.offset = offset


class LakeMismatchError(Exception):
    """The lake's file belongs to another topic or knows more than the topic: it is not replaced."""


class ShrinkError(Exception):
    """The rows of a day became fewer or lower without a new generation."""


def check_origin(key: str, file: FileProvenance, topic: str, topic_id: str) -> None:
    """Raise LakeMismatchError unless the file was built from this very topic."""
    if (file.topic, file.topic_id) != (topic, topic_id):
        raise LakeMismatchError(
            f"{key} was built from topic {file.topic} with id {file.topic_id}, but the broker's {topic} has id "
            f"{topic_id}: the topic was made anew, or the lake belongs to another stack. Give SINKS_LAKE a new place "
            "(older days are copied there with `watchtime rebuild --from`)"
        )


def check_end(topic: str, behind: ReadAgainError, end: int) -> None:
    """Raise LakeMismatchError when the lake knows an offset that the topic, asked afterwards, does not have."""
    if behind.offset >= end:
        raise LakeMismatchError(
            f"{behind}, and {topic} ends at {end}: the topic has lost records. The object is kept. Write the day with "
            "`watchtime rebuild`, or, if the topic is right, move the object aside: it is then written from the topic"
        )


def check_growth(key: str, file: FileProvenance, snapshot: DaySnapshot, new: DayFile) -> None:
    """Raise ShrinkError when the new content has less than the file, and nothing says why it may."""
    if snapshot.generation > file.generation or snapshot.removed > file.offset:
        return
    if snapshot.generation < file.generation:
        raise ShrinkError(
            f"{key} holds generation {file.generation}, the topic only {snapshot.generation}: the topic has lost "
            "records. The file is kept; compare with `watchtime reconcile` and write it with `watchtime rebuild`"
        )
    if file.topic == CLIENT.topic and new.newest.rows >= file.newest.rows:
        # A client that was forgotten and came back at once starts anew: its row is lower, and no record says that it
        # was gone, or compaction took the one that did.
        return
    if new.newest.is_below(file.newest):
        raise ShrinkError(
            f"{key} would shrink from {file.newest.rows} rows {dict(file.newest.sums)} (offset {file.offset}) to "
            f"{new.newest.rows} rows {dict(new.newest.sums)} (offset {snapshot.offset}): rows were lost on the way. "
            "The file is kept; compare with `watchtime reconcile` and write it with `watchtime rebuild`"
        )
