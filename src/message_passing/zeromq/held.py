"""Messages that a sender cannot send yet: for nobody has asked for them, or there is no room."""

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
"""The most bytes of messages that one sender holds, however many messages it may hold."""


class Held:
    """Two queues with one bound in bytes.

    Attributes:
        waiting: those that somebody takes, and for which there is no room, or who takes them is away.
        unclaimed: those that nobody has subscribed to.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self.waiting: deque[bytes] = deque()
        self.unclaimed: deque[bytes] = deque()
        self._room = HELD_BYTES
        self._carried = 0
        self._holds: list[Hold] = []

    def hold(self, hold: Hold) -> None:
        """Of what is here, some belongs to this delivery, which waits until nothing is here any more."""
        if hold is not NO_HOLD:
            self._holds.append(hold)

    def lose(self) -> None:
        """Some of what is or was here is lost: whose it is, is not known."""
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
        """How many messages these are, of a frame as many as it carries. From any thread."""
        return self._carried

    def keep(self, queue: deque[bytes], messages: Sequence[bytes], most: int) -> Sequence[bytes]:
        """Put the first of these into one of the queues.

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
        """Put the last of these into one of the queues, in place of the oldest there where there is no room.

        Args:
            queue: which.
            messages: what to keep.
            most: how many more there is room for.

        Returns:
            Those that had to go: the oldest of all.
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
        """Put each into the queue that it belongs to now, after somebody has subscribed or ceased to."""
        wanted, others = prefixes.split(self.unclaimed)
        still, no_more = prefixes.split(self.waiting)
        self.waiting, self.unclaimed = deque(wanted + still), deque(others + no_more)

    def first(self, count: int) -> list[bytes]:
        """The oldest that wait, left where they are."""
        return list(islice(self.waiting, count))

    def remove(self, count: int) -> None:
        """Take the oldest that wait out."""
        removed = [self.waiting.popleft() for _ in range(count)]
        self._room += sum(map(len, removed))
        self._carried -= message_count(removed)
        self._release_if_empty()

    def clear(self, queue: deque[bytes]) -> int:
        """Lose what is in one of the queues; how many messages that were, of a frame as many as it carries."""
        self.lose()
        lost = message_count(queue)
        self._carried -= lost
        self._room += sum(map(len, queue))
        queue.clear()
        self._release_if_empty()
        return lost
