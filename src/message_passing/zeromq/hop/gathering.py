"""Messages that an acknowledged output keeps: single ones that share a frame, and who awaits their outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.delivery import NO_HOLD
from message_passing.zeromq.hop.packing import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from message_passing.delivery import Hold


class SentBatch:
    """Messages that were accepted together, with the number of their frames left to be acknowledged.

    Of those that were gathered for a frame, each is a batch.
    """

    __slots__ = ("hold", "left")

    def __init__(self, hold: Hold, left: int = 0) -> None:
        """Hold a delivery until so many frames are settled."""
        self.hold = hold
        self.left = left

    def settle(self) -> None:
        """Note that one of its frames has been acknowledged."""
        self.left -= 1
        if not self.left and self.hold is not NO_HOLD:
            self.hold.release()


_UNWATCHED = SentBatch(NO_HOLD)
"""Of gathered messages whose outcome nobody wants."""


class Gathering:
    """Single messages that are not in a frame yet. For one thread at a time.

    Attributes:
        size: their bytes.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0
        self._messages: list[bytes] = []
        self._batches: list[SentBatch] = []

    def add(self, message: bytes, hold: Hold) -> None:
        """Add one."""
        self._messages.append(message)
        self._batches.append(_UNWATCHED if hold is NO_HOLD else SentBatch(hold, 1))
        self.size += len(message)

    def frames(self) -> Iterator[tuple[bytes, int, bool, Sequence[SentBatch]]]:
        """Take all, as frames: see `packed`; and the batches of each."""
        messages, batches, start = self._messages, self._batches, 0
        self._messages, self._batches, self.size = [], [], 0
        for body, count, lines in packed(messages):
            yield body, count, lines, batches[start : start + count]
            start += count
