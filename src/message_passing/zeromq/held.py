"""Messages that a sender cannot send yet: no peer has subscribed to them, or there is no room."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from message_passing.delivery import NO_HOLD, Hold, Outcome
from message_passing.lines import message_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.zeromq.subscriptions import Prefixes

HELD_BYTES = 128 << 20
"""The most bytes of messages that one sender buffers, however many messages it may buffer."""


class Held:
    """Two queues with a common bound in bytes.

    Attributes:
        waiting: messages that a peer wants, but has no room for, or that peer is away.
        unclaimed: messages that no peer has subscribed to.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.waiting: deque[bytes] = deque()
        self.unclaimed: deque[bytes] = deque()
        self._room = HELD_BYTES
        self._carried = 0
        self._holds: list[Hold] = []

    def hold(self, hold: Hold) -> None:
        """Let a delivery wait until the queues are empty, since some of their messages belong to it."""
        if hold is not NO_HOLD:
            self._holds.append(hold)

    def lose(self) -> None:
        """Record that some messages are lost; which delivery they belong to is unknown."""
        for hold in self._holds:
            hold.note(Outcome.LOST)

    def _release_if_empty(self) -> None:
        if self._holds and not self:
            holds, self._holds = self._holds, []
            for hold in holds:
                hold.release()

    def __len__(self) -> int:
        return len(self.waiting) + len(self.unclaimed)

    def carried(self) -> int:
        """The number of messages, counting each frame as the messages it carries. From any thread."""
        return self._carried

    def keep(self, queue: deque[bytes], messages: Sequence[bytes], most: int) -> Sequence[bytes]:
        """Append the first of these to one of the queues.

        Args:
            queue: which.
            messages: what to keep.
            most: how many, if the bytes allow it.

        Returns:
            Those that there is no room for.
        """
        fitting = messages[: max(0, most)]
        size = sum(map(len, fitting))
        if size > self._room:
            size = count = 0
            for message in fitting:
                if size + len(message) > self._room:
                    break
                size, count = size + len(message), count + 1
            fitting = fitting[:count]
        self._room -= size
        self._carried += message_count(fitting)
        queue.extend(fitting)
        return messages[len(fitting) :]

    def keep_newest(self, queue: deque[bytes], messages: Sequence[bytes], most: int) -> list[bytes]:
        """Append the last of these to one of the queues, replacing its oldest where there is no room.

        Args:
            queue: which.
            messages: what to keep.
            most: how many more there is room for.

        Returns:
            Those that were dropped: the oldest of all.
        """
        room = max(0, most + len(queue))
        gone = list(messages[: max(0, len(messages) - room)])
        fitting = deque(messages[len(gone) :])
        size = sum(map(len, fitting))
        oldest: list[bytes] = []
        while queue and (len(queue) + len(fitting) > room or size > self._room):
            oldest.append(queue.popleft())
            self._room += len(oldest[-1])
        while size > self._room:
            gone.append(fitting.popleft())
            size -= len(gone[-1])
        self._room -= size
        self._carried += message_count(fitting) - message_count(oldest)
        queue.extend(fitting)
        return oldest + gone

    def sort(self, prefixes: Prefixes) -> None:
        """Move each message to the queue that it now belongs to, after subscriptions have changed."""
        wanted, others = prefixes.split(self.unclaimed)
        still, no_more = prefixes.split(self.waiting)
        self.waiting, self.unclaimed = deque(wanted + still), deque(others + no_more)

    def first(self, count: int) -> list[bytes]:
        """The oldest waiting messages, which stay in the queue."""
        return list(islice(self.waiting, count))

    def remove(self, count: int) -> None:
        """Remove the oldest waiting messages."""
        removed = [self.waiting.popleft() for _ in range(count)]
        self._room += sum(map(len, removed))
        self._carried -= message_count(removed)
        self._release_if_empty()

    def clear(self, queue: deque[bytes]) -> int:
        """Drop one of the queues; return how many messages it had, counting each frame as those it carries."""
        self.lose()
        lost = message_count(queue)
        self._carried -= lost
        self._room += sum(map(len, queue))
        queue.clear()
        self._release_if_empty()
        return lost
