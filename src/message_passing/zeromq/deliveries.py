"""What each connection has brought, and what of it was delivered: the rest may be an unfinished message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from message_passing.zeromq.parts import Message


class Deliveries:
    """What receiving messages tells of the connections. To be used under the receiver's lock.

    Attributes:
        exact: every message's connection is to be noted, not only that of one now and then.
        drained: nothing was left to be received, at some time since the last `take`.
    """

    def __init__(self) -> None:
        """Nothing was delivered."""
        self.exact = self.drained = False
        self._bytes: dict[str, int] = {}

    def note(self, message: Message) -> None:
        """A message was received."""
        if message.descriptor:
            # With the header of one frame: at most what came over the network.
            self._bytes[message.descriptor] = self._bytes.get(message.descriptor, 0) + message.size + 2

    def take(self) -> dict[int, int]:
        """The descriptors of connections that delivered messages since the last time, and of how many bytes."""
        found = {int(one): size for one, size in self._bytes.items()}
        self._bytes.clear()
        self.drained = False
        return found


@dataclass(slots=True)
class Record:
    """Of one connection, in bytes read so far: now, when nothing was left to be received, when it last delivered."""

    heard: float = -math.inf  # when it last delivered a message
    read: int = 0
    mark: int = 0
    base: int = 0
    delivered: int = 0  # of what was read since `base`

    @property
    def unfinished(self) -> int:
        """At most so much of what was read belongs to no message that was delivered."""
        return self.read - self.base - self.delivered

    def deliver(self, size: int, now: float) -> None:
        """It delivered messages of so many bytes. The first may have begun before `mark`, and ended after it."""
        self.heard = now
        if self.read - self.mark < self.unfinished - size:
            self.base, self.delivered = self.mark, 0
        else:
            self.delivered += size
