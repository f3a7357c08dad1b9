"""Records of a topic from their arrival until their offsets may be committed."""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING

from message_passing.network.consumer_window import Received
from message_passing.network.packing import FRAME_HEADER, FRAME_OF_LINES
from message_passing.zeromq.hop.packing import packed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

FRAME_MARK = (FRAME_HEADER, FRAME_OF_LINES.encode())
"""The header of a frame: see `network.packing`."""


class KafkaRecord(Received):
    """A record of a partition; or several that follow one another, as one: a line each, as in a frame.

    Attributes:
        key: the assignment that it came with, and its offset.
        partition: its number.
        offset: its place in the partition, or that of the first.
        count: how many records.
        settled: it needs nothing any more.
        dropped: its partition was given up before it was passed on.
        parts: each of several by itself, once the chain has lost them: then these are settled.
    """

    __slots__ = ("count", "dropped", "offset", "partition", "parts", "settled")
    key: tuple[int, int]

    def __init__(
        self,
        key: tuple[int, int],
        partition: int,
        body: bytes | None,
        now: float,
        *,
        lines: bool = False,
        count: int = 1,
    ) -> None:
        """One without a value (a tombstone) has no messages."""
        self.partition, self.offset, self.count = partition, key[1], count
        self.settled = self.dropped = False
        self.parts: list[KafkaRecord] = []
        size = 0 if body is None else len(body) - (count - 1)
        super().__init__(key, body, size, 1, now, lines=lines)

    def is_busy(self) -> bool:
        """Whether the chain is at work on it."""
        if self.parts:
            return any(one.is_busy() for one in self.parts)
        return not (self.settled or self.dropped)

    def each(self) -> list[KafkaRecord]:
        """The records by themselves, which stand for this one from now on."""
        if self.count == 1:
            return [self]
        self.parts = [
            KafkaRecord((self.key[0], self.offset + number), self.partition, line, self.told, lines=True)
            for number, line in enumerate(self.messages)
        ]
        self.body = None
        return self.parts


def records_of(
    first: tuple[int, int],
    partition: int,
    values: Sequence[bytes | None],
    headers: Sequence[Collection[object] | None],
    now: float,
    *,
    together: bool,
) -> Iterator[KafkaRecord]:
    """Records that follow one another without a gap: as few as they may be.

    Args:
        first: the key of the first one.
        partition: its number.
        values: of each.
        headers: of each; that of a frame is `FRAME_MARK`.
        now: seconds, monotonic.
        together: several may be one.
    """
    assignment, offset = first
    frames = [bool(given and FRAME_MARK in given) for given in headers]
    for is_one, part in groupby(zip(values, frames, strict=True), lambda one: not one[0] or one[1]):
        found: Iterable[tuple[bytes | None, int, bool]]
        if is_one or not together:
            found = [(value, 1, bool(value) and is_frame) for value, is_frame in part]
        else:
            found = packed([value for value, _ in part if value], plain=True)
        for body, count, lines in found:
            yield KafkaRecord((assignment, offset), partition, body, now, lines=lines, count=count)
            offset += count


def without_gaps(offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The runs of offsets of which each follows the one before: the index of the first, and that after the last."""
    first, count = 0, len(offsets)
    if offsets == [*range(offsets[0], offsets[0] + count)]:
        yield 0, count
        return
    for index in range(1, count + 1):
        if index == count or offsets[index] != offsets[index - 1] + 1:
            yield first, index
            first = index


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
                self.count -= sum(record.count for record in found.records)
                self.size -= sum(record.size for record in found.records)

    def expected(self, partition: int) -> int | None:
        """The offset after that of the last record; None if not known."""
        found = self._partitions.get(partition)
        return found.expected if found else None

    def receive(self, record: KafkaRecord) -> None:
        """It is here, after those before it."""
        found = self._partitions[record.partition]
        found.records.append(record)
        found.expected = record.offset + record.count
        if found.next is None:
            found.next = record.offset
        self.count += record.count
        self.size += record.size

    def advance(self) -> dict[int, int]:
        """Where partitions are now that were elsewhere before: the offsets to commit."""
        moved = {}
        for number, partition in self._partitions.items():
            records = partition.records
            while records and (records[0].settled or records[0].parts):
                record = records.popleft()
                if record.parts:
                    records.extendleft(reversed(record.parts))
                    continue
                self.count -= record.count
                self.size -= record.size
                moved[number] = partition.next = record.offset + record.count
        return moved

    def next(self, partition: int) -> int | None:
        """The offset of the first record that is not settled; None if not known."""
        return self._partitions[partition].next

    def busy(self, partitions: Collection[int]) -> bool:
        """Whether the chain is at work on anything of these."""
        return any(
            record.is_busy()
            for number in partitions
            if number in self._partitions
            for record in self._partitions[number].records
        )
