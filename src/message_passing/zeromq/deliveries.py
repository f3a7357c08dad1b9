"""Per connection, the bytes read and delivered: the difference may be an unfinished message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from message_passing.zeromq.parts import Message


class Deliveries:
    """What received messages show about the connections. To be used under the receiver's lock.

    Attributes:
        exact: record the connection of every message, not only of a sample.
        drained: nothing was left to be received, at some time since the last `take`.
    """

    def __init__(self) -> None:
        """Start without deliveries."""
        self.exact = self.drained = False
        self._bytes: dict[str, int] = {}

    def note(self, message: Message) -> None:
        """Record that a message was received."""
        if message.descriptor:
            # With the header of one frame: at most what came over the network.
            self._bytes[message.descriptor] = self._bytes.get(message.descriptor, 0) + message.size + 2

    def take(self) -> dict[int, int]:
        """The bytes delivered since the last call, by connection descriptor."""
        found = {int(one): size for one, size in self._bytes.items()}
        self._bytes.clear()
        self.drained = False
        return found


@dataclass(slots=True)
class Record:
    """One connection's bytes read: now, when nothing was left to be received, and at its last delivery."""

    heard: float = -math.inf  # when it last delivered a message
    read: int = 0
    mark: int = 0
    base: int = 0
    delivered: int = 0  # of what was read since `base`

    @property
    def unfinished(self) -> int:
        """The most bytes read that belong to no delivered message."""
        return self.read - self.base - self.delivered

    def deliver(self, size: int, now: float) -> None:
        """Record delivered bytes. The first message may have begun before `mark` and ended after it."""
        self.heard = now
        if self.read - self.mark < self.unfinished - size:
            self.base, self.delivered = self.mark, 0
        else:
            self.delivered += size
