"""Messages that wait to be sent, with bounds, and the batches that are made of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from message_passing.lines import message_count
from message_passing.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.delivery import Hold


class Batch:
    """Messages that travel together.

    Attributes:
        messages: what is sent.
        shares: whose they are.
        count: how many messages these are, of a frame as many as it carries.
    """

    __slots__ = ("count", "messages", "shares")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.shares = Shares()
        self.count = 0


class Buffer:
    """A queue with two bounds.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        """Nothing waits.

        Args:
            most: messages that may wait.
            most_bytes: bytes that may.
        """
        self.size = 0
        self._most, self._most_bytes = most, most_bytes
        self._shares = Shares()
        self._carried = 0
        self._queue: deque[tuple[bytes, float]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def oldest(self) -> float:
        """When what waits longest came."""
        return self._queue[0][1] if self._queue else 0.0

    def carried(self) -> int:
        """How many messages wait, of a frame as many as it carries."""
        return self._carried

    def has_room(self, messages: int, size: int) -> bool:
        """Whether there is room for so many more, of so many bytes."""
        return len(self._queue) + messages <= self._most and self.size + size <= self._most_bytes

    def add(self, messages: Sequence[bytes], hold: Hold, now: float) -> int:
        """Add the first of these, as far as there is room; how many. One alone may be larger than all the room."""
        count = 0
        for message in messages:
            if self._queue and not self.has_room(1, len(message)):
                break
            self._queue.append((message, now))
            self.size += len(message)
            count += 1
        if count:
            self._carried += message_count(messages[:count])
            self._shares.add(count, hold)
        return count

    def take(self, most: int, most_bytes: int) -> Batch:
        """The oldest: so many, and of so many bytes, at most; one at least."""
        batch, size = Batch(), 0
        while self._queue and len(batch.messages) < most:
            message = self._queue[0][0]
            if batch.messages and size + len(message) > most_bytes:
                break
            self._queue.popleft()
            size += len(message)
            batch.messages.append(message)
        self.size -= size
        self._shares.move(len(batch.messages), batch.shares)
        batch.count = message_count(batch.messages)
        self._carried -= batch.count
        return batch
