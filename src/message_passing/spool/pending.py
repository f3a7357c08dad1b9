"""Frames that wait in memory to be stored: the queue in front of a spool, and the batches that they belong to."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from message_passing.delivery import NO_HOLD, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from message_passing.delivery import Hold

PENDING_BYTES = 16 << 20
"""Bytes that may wait to be stored, or as many as the spool may have; a batch that begins below is accepted whole."""

PENDING_FRAMES = 10_000
"""Frames that may wait to be stored; likewise."""

PendingFrame = tuple[bytes, int, int, "StoredBatch"]
"""The stored bytes, the number of messages, the kind (see `SpoolFrame`), and their batch."""


class StoredBatch:
    """Frames that came together, with the number not stored yet."""

    __slots__ = ("hold", "left")

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.left = 0

    def settle(self, *, lost: bool) -> None:
        """Record that one of them is stored, or lost."""
        if lost:
            self.hold.note(Outcome.LOST)
        self.left -= 1
        if not self.left and self.hold is not NO_HOLD:
            self.hold.release()


class PendingFrames:
    """The queue. For one thread at a time.

    Attributes:
        messages: the number of messages in it.
        size: their bytes.
    """

    def __init__(self, limit: int = PENDING_BYTES) -> None:
        """Start empty, with the bytes at which there is no more room."""
        self._limit = limit
        self.messages = self.size = 0
        self._queue: deque[PendingFrame] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be added."""
        return self.size < self._limit and len(self._queue) < PENDING_FRAMES

    def put(self, frames: Iterable[tuple[bytes, int, int]], hold: Hold) -> None:
        """Add a batch."""
        batch = StoredBatch(hold)
        for body, count, kind in frames:
            batch.left += 1
            self.messages += count
            self.size += len(body)
            self._queue.append((body, count, kind, batch))

    def first(self, most: int) -> list[PendingFrame]:
        """The first of them, without removing them."""
        return list(islice(self._queue, most))

    def remove(self, number: int) -> list[PendingFrame]:
        """Remove the first of them, which are still to be settled."""
        removed = [self._queue.popleft() for _ in range(number)]
        self.messages -= sum(count for _, count, _, _ in removed)
        self.size -= sum(len(body) for body, _, _, _ in removed)
        return removed
