"""Records of a topic from their arrival until their offsets may be committed."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from message_passing.network.consumer_window import ConsumerWindow, Received
from message_passing.network.packing import FRAME_HEADER, FRAME_OF_LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

FRAME_MARK = (FRAME_HEADER, FRAME_OF_LINES.encode())
"""The header of a frame: see `network.packing`."""


class KafkaRecord(Received):
    """A record of a partition.

    Attributes:
        key: the assignment that it came with, and its offset.
        partition: its number.
        offset: its place in the partition.
        settled: it needs nothing any more.
        dropped: its partition was given up before it was passed on.
    """

    __slots__ = ("dropped", "offset", "partition", "settled")
    key: tuple[int, int]

    def __init__(
        self,
        key: tuple[int, int],
        partition: int,
        value: bytes | None,
        headers: Collection[object] | None,
        now: float,
    ) -> None:
        """Take it apart. One without a value (a tombstone) has no messages."""
        self.partition, self.offset = partition, key[1]
        self.settled = self.dropped = False
        is_frame = bool(value and headers and FRAME_MARK in headers)
        super().__init__(key, value, len(value or b""), 1, now, lines=is_frame)


class _Partition:
    """What is here of one partition, in the order in which it came.

    Attributes:
        assignment: a number of its own each time that it is assigned.
        next: the offset up to which everything is settled; None if not known.
        expected: the offset of the next record; None if not known.
    """

    __slots__ = ("assignment", "expected", "next", "records")

    def __init__(self, assignment: int, committed: int | None) -> None:
        self.assignment = assignment
        self.next = self.expected = committed
        self.records: deque[KafkaRecord] = deque()


class PartitionOffsets:
    """How far each assigned partition is done: never beyond a record that is not settled.

    It belongs to the thread that consumes; others only set `settled` of a record.

    Attributes:
        count: records that are here, or are settled and wait for one before them.
        size: their bytes.
    """

    def __init__(self) -> None:
        """Nothing is assigned."""
        self.count = self.size = 0
        self._assignments = 0
        self._partitions: dict[int, _Partition] = {}

    def __contains__(self, partition: int) -> bool:
        return partition in self._partitions

    def __iter__(self) -> Iterator[int]:
        return iter([*self._partitions])

    def __len__(self) -> int:
        return len(self._partitions)

    def assign(self, partition: int, committed: int | None) -> None:
        """A partition is this node's from now on.

        Args:
            partition: its number.
            committed: where the group is; None if it is nowhere, or not known.
        """
        self.revoke([partition])
        self._assignments += 1
        self._partitions[partition] = _Partition(self._assignments, committed)

    def assignment(self, partition: int) -> int:
        """The number of its assignment; 0 if it has none."""
        found = self._partitions.get(partition)
        return found.assignment if found else 0

    def revoke(self, partitions: Collection[int]) -> None:
        """These are not this node's any more."""
        for number in partitions:
            if found := self._partitions.pop(number, None):
                self.count -= len(found.records)
                self.size -= sum(record.size for record in found.records)

    def expected(self, partition: int) -> int | None:
        """The offset after that of the last record; None if not known."""
        found = self._partitions.get(partition)
        return found.expected if found else None

    def receive(self, record: KafkaRecord) -> None:
        """It is here, after those before it."""
        found = self._partitions[record.partition]
        found.records.append(record)
        found.expected = record.offset + 1
        if found.next is None:
            found.next = record.offset
        self.count += 1
        self.size += record.size

    def advance(self) -> dict[int, int]:
        """Where partitions are now that were elsewhere before: the offsets to commit."""
        moved = {}
        for number, partition in self._partitions.items():
            records = partition.records
            while records and records[0].settled:
                record = records.popleft()
                self.count -= 1
                self.size -= record.size
                moved[number] = partition.next = record.offset + 1
        return moved

    def next(self, partition: int) -> int | None:
        """The offset of the first record that is not settled; None if not known."""
        return self._partitions[partition].next

    def busy(self, partitions: Collection[int]) -> bool:
        """Whether the chain is at work on anything of these."""
        return any(
            not (record.settled or record.dropped)
            for number in partitions
            if number in self._partitions
            for record in self._partitions[number].records
        )


class RecordWindow(ConsumerWindow[KafkaRecord]):
    """Records from their arrival until they are settled; those that the chain loses come again from here.

    Attributes:
        next_due: when the first of those comes again; seconds, monotonic.
    """

    def __init__(
        self, window: int, window_bytes: int, wake: Callable[[], object], clock: Callable[[], float]
    ) -> None:
        """Begin without any; see `ConsumerWindow`.

        Args:
            window: the most records.
            window_bytes: about the most bytes of them.
            wake: called when there is something to do.
            clock: seconds, monotonic.
        """
        super().__init__(window, window_bytes, wake)
        self._clock = clock
        self._later: list[tuple[float, int, KafkaRecord]] = []
        self._count = 0
        self._leaving: set[int] = set()

    @property
    def next_due(self) -> float:
        """When the first of those comes again; seconds, monotonic."""
        return self._later[0][0] if self._later else math.inf

    def answer_done(self, item: KafkaRecord) -> None:
        """See `ConsumerWindow`: its offset may be passed."""
        item.body = None
        item.settled = True

    def answer_later(self, item: KafkaRecord, delay: float) -> None:
        """See `ConsumerWindow`: Kafka does not send it again, so it stays here; its offset is not passed."""
        if self.stopping or item.dropped or item.key[0] in self._leaving:
            item.dropped = True
            return
        self.keep(item)
        self._count += 1
        heapq.heappush(self._later, (self._clock() + delay, self._count, item))

    def arrived(self, records: list[KafkaRecord]) -> None:
        """Pass them on, or not any more."""
        for record in records:
            if record.body is None:
                record.settled = True
            elif self.stopping:
                record.dropped = True
            elif not record.dropped:
                self.admit(record)
        self._wake()

    def repeat(self) -> None:
        """Pass on again what is due."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            item = heapq.heappop(self._later)[2]
            if item.key in self._open:
                item.deliveries += 1
                self.ready.append(item)

    def drop(self, assignments: Collection[int]) -> None:
        """These partitions go to another node: what was not passed on, or was lost, is another one's."""
        self._leaving.update(assignments)
        kept = [item for item in self.ready if item.key[0] not in assignments]
        late = [entry for entry in self._later if entry[2].key[0] not in assignments]
        for item in [*self.ready, *(entry[2] for entry in self._later)]:
            if item.key[0] in assignments:
                item.dropped = True
                self._close(item, done=False)
        self.ready.clear()
        self.ready.extend(kept)
        self._later = late
        heapq.heapify(self._later)

    def forget(self, assignments: Collection[int]) -> None:
        """These partitions are another node's: what the chain still has of them is not waited for, nor repeated."""
        self.drop(assignments)
        for item in [item for item in self._open.values() if item.key[0] in assignments]:
            item.dropped = True
            self._close(item, done=False)
        self._leaving.difference_update(assignments)
