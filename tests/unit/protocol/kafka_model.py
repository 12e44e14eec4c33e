"""Just enough of Kafka to argue about: logs with transactions, fencing, the last stable offset and compaction."""

from __future__ import annotations

from dataclasses import dataclass, field


class FencedError(Exception):
    """A newer producer holds the transactional id."""


@dataclass
class Entry:
    """One record in a log."""

    key: bytes
    value: bytes | None
    #: None: committed; else the transaction that it waits for.
    transaction: Transaction | None = None


@dataclass
class Transaction:
    """The open transaction of a producer."""

    entries: list[tuple[str, Entry]] = field(default_factory=list)


@dataclass
class Producer:
    """A handle on a transactional id."""

    transactional_id: str
    epoch: int


class Cluster:
    """Logs by topic-partition name; `fencing=False` is the mutation that forgets to refuse old producers."""

    def __init__(self, *, fencing: bool = True) -> None:
        self.logs: dict[str, list[tuple[int, Entry]]] = {}
        self._ends: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}
        self._fencing = fencing

    def producer(self, transactional_id: str) -> Producer:
        """Start a producer: fences earlier ones and aborts what they left open."""
        if self._fencing:
            self.abort(transactional_id)
            self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        return Producer(transactional_id, self._epochs.get(transactional_id, 0))

    def append(self, log: str, key: bytes, value: bytes | None, producer: Producer | None = None) -> int:
        """Append a record, within the producer's transaction when there is one; return its offset."""
        entry = Entry(key, value)
        if producer is not None:
            self._check(producer)
            entry.transaction = self._open.setdefault(producer.transactional_id, Transaction())
            entry.transaction.entries.append((log, entry))
        offset = self._ends.get(log, 0)
        self._ends[log] = offset + 1
        self.logs.setdefault(log, []).append((offset, entry))
        return offset

    def commit(self, producer: Producer) -> None:
        """End the producer's transaction; its records become visible, behind each partition comes a marker."""
        self._check(producer)
        transaction = self._open.pop(producer.transactional_id, Transaction())
        for _, entry in transaction.entries:
            entry.transaction = None
        for log in {log for log, _ in transaction.entries}:
            self._ends[log] += 1

    def abort(self, transactional_id: str) -> None:
        """Take the records of an open transaction out of sight."""
        transaction = self._open.pop(transactional_id, None)
        if transaction is None:
            return
        gone = {id(entry) for _, entry in transaction.entries}
        for log in {log for log, _ in transaction.entries}:
            self.logs[log] = [(offset, entry) for offset, entry in self.logs[log] if id(entry) not in gone]
            self._ends[log] += 1

    def _check(self, producer: Producer) -> None:
        if producer.epoch != self._epochs.get(producer.transactional_id, 0):
            raise FencedError(producer.transactional_id)

    def end(self, log: str, *, committed: bool = True) -> int:
        """Return the end offset; for committed reads the last stable offset."""
        if committed:
            pending = [offset for offset, entry in self.logs.get(log, ()) if entry.transaction is not None]
            if pending:
                return min(pending)
        return self._ends.get(log, 0)

    def read(self, log: str, start: int, end: int) -> list[tuple[int, Entry]]:
        """Return the records of a range of offsets."""
        return [(offset, entry) for offset, entry in self.logs.get(log, ()) if start <= offset < end]

    def compact(self, log: str) -> None:
        """Keep the newest value of each key below the last stable offset."""
        stable = self.end(log)
        newest = {entry.key: offset for offset, entry in self.logs.get(log, ()) if offset < stable}
        self.logs[log] = [
            (offset, entry)
            for offset, entry in self.logs.get(log, ())
            if offset >= stable or newest[entry.key] == offset
        ]
