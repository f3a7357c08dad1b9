"""One call of a handler's `flush`, as who calls it and who sends share it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from message_passing.zeromq.sending import Sender


class Flush:
    """Somebody waits until what was logged before has left.

    Attributes:
        over: when he gives up, by `clock.monotonic`.
        done: released then, or when it has left.
        left: whether it has.
        lost: records that were lost before.
        given: messages that ZeroMQ had been given when all was; None until it was.
        sender: by which socket.
        quiet_since: when the system was first seen without anything to send, by `clock.monotonic`.
    """

    def __init__(self, over: float, lost: int) -> None:
        """It begins."""
        self.over = over
        self.lost = lost
        self.done = threading.Lock()
        self.done.acquire()
        self.left = False
        self.given: int | None = None
        self.sender: Sender | None = None
        self.quiet_since: float | None = None
