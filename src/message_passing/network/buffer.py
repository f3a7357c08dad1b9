"""A bounded buffer of messages that wait to be sent, and the batches made from them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from message_passing.lines import message_count
from message_passing.occupancy import how_many_fit
from message_passing.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from message_passing.delivery import Hold


def _any(_target: Hashable) -> bool:
    return True


class Batch:
    """Messages that are sent together.

    Attributes:
        messages: the messages to send.
        target: their destination, the same for all messages of a batch.
        shares: the deliveries that they belong to.
        count: the number of messages, counting each frame as those it carries.
        size: their bytes.
        prepared: what an output has made of them, for the next attempt.
    """

    __slots__ = ("count", "messages", "prepared", "shares", "size", "target")

    def __init__(self, target: Hashable = None) -> None:
        self.target = target
        self.size = 0
        self.messages: list[bytes] = []
        self.shares = Shares()
        self.count = 0
        self.prepared: Any = None


class Queue:
    """The queue of one target.

    Attributes:
        size: bytes that wait.
        carried: messages that wait, counting each frame as those it carries.
    """

    __slots__ = ("_added", "_came", "_messages", "_shares", "_taken", "carried", "size", "target")

    def __init__(self, target: Hashable) -> None:
        self.target = target
        self.size = self.carried = 0
        self._shares = Shares()
        self._messages: deque[bytes] = deque()
        self._added = self._taken = 0
        self._came: deque[tuple[int, float]] = deque()  # how many had been added, and when

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def oldest(self) -> float:
        """The arrival time of the oldest entry."""
        return self._came[0][1]

    def add(self, messages: Sequence[bytes], size: int, hold: Hold, now: float) -> None:
        """Add messages with this total size in bytes."""
        self._messages.extend(messages)
        self._added += len(messages)
        self._came.append((self._added, now))
        self.size += size
        self.carried += message_count(messages)
        self._shares.add(len(messages), hold)

    def take(self, most: int, most_bytes: int) -> Batch:
        """Take the oldest: at most this many, and this many bytes; at least one."""
        batch = Batch(self.target)
        ends = [*accumulate(map(len, islice(self._messages, most)))]
        count = max(1, bisect_right(ends, most_bytes))
        batch.size = ends[count - 1]
        batch.messages = [self._messages.popleft() for _ in range(count)]
        self._taken += count
        while self._came and self._came[0][0] <= self._taken:
            self._came.popleft()
        self.size -= batch.size
        self._shares.move(count, batch.shares)
        batch.count = message_count(batch.messages)
        self.carried -= batch.count
        return batch


class Buffer:
    """Queues, one for each target with waiting messages, with two common bounds.

    Attributes:
        size: bytes that wait, or belong to a batch that waits to be retried.
        carried: messages that wait, counting each frame as those it carries.
    """

    def __init__(self, most: int, most_bytes: int, batch: int, batch_bytes: int) -> None:
        """Start empty.

        Args:
            most: the most messages that may wait.
            most_bytes: the most bytes that may wait.
            batch: the most messages of a batch.
            batch_bytes: the most bytes of a batch.
        """
        self.size = self.carried = self._count = 0
        self._most, self._most_bytes = most, most_bytes
        self._batch, self._batch_bytes = batch, batch_bytes
        # In the order in which they first had something, or were last taken from: what has waited long enough in one
        # comes after what waits in those before it, which is due within the same time.
        self._queues: dict[Hashable, Queue] = {}
        self._full: dict[
            Hashable, None
        ] = {}  # those that have a whole batch, in the order in which they got it

    def __len__(self) -> int:
        return self._count

    def has_room(self, messages: int, size: int) -> bool:
        """Whether there is room for this many more messages, of this many bytes."""
        return self._count + messages <= self._most and self.size + size <= self._most_bytes

    def add(self, messages: Sequence[bytes], hold: Hold, now: float, target: Hashable = None) -> int:
        """Add the first of these, as far as there is room; return how many. One alone may exceed the buffer."""
        count, size = len(messages), sum(map(len, messages))
        if not self.has_room(count, size):
            room, room_bytes = self._most - self._count, self._most_bytes - self.size
            count = how_many_fit(map(len, messages), room, room_bytes, alone=not self._count)
            size = sum(map(len, messages[:count]))
        if count:
            queue = self._queues.setdefault(target, Queue(target))
            before = queue.carried
            queue.add(messages[:count], size, hold, now)
            self._count += count
            self.size += size
            self.carried += queue.carried - before
            self._note(queue)
        return count

    def due(self, age: float, now: float, may: Callable[[Hashable], bool] = _any) -> Queue | None:
        """The queue to take from next: one with a whole batch, or in which a message has waited for `age`.

        Args:
            age: how many seconds.
            now: seconds, monotonic.
            may: whether a target may have another batch.
        """
        for target in self._full:
            if may(target):
                return self._queues[target]
        for queue in self._queues.values():
            if may(queue.target):
                return queue if now - queue.oldest >= age else None
        return None

    def next_at(self, may: Callable[[Hashable], bool] = _any) -> float:
        """The arrival time of the oldest message in all queues that may be taken from; infinite if there is none."""
        return next((queue.oldest for queue in self._queues.values() if may(queue.target)), math.inf)

    def take_all(self) -> Iterator[Batch]:
        """Take all that waits, in batches."""
        while self._queues:
            yield self.take(next(iter(self._queues.values())))

    def reserve(self, batch: Batch) -> None:
        """Keep a batch's room reserved while it waits to be retried."""
        self._count += len(batch.messages)
        self.size += batch.size

    def free(self, batch: Batch) -> None:
        """Release a batch's room: it is in flight."""
        self._count -= len(batch.messages)
        self.size -= batch.size

    def take(self, queue: Queue) -> Batch:
        """Make a batch of the oldest messages in a queue: at least one."""
        batch = queue.take(self._batch, self._batch_bytes)
        self.free(batch)
        self.carried -= batch.count
        del self._queues[queue.target]
        self._full.pop(queue.target, None)
        if queue:
            self._queues[queue.target] = queue
            self._note(queue)
        return batch

    def _note(self, queue: Queue) -> None:
        if len(queue) >= self._batch or queue.size >= self._batch_bytes:
            self._full[queue.target] = None
