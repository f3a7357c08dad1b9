"""Whose the messages are that wait in a queue: how many of which delivery, in their order."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from message_passing.delivery import NO_HOLD, Call, Hold, Outcome, Several

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Batch:
    """What one delivery brought. It is held until all of it is settled."""

    __slots__ = ("hold", "left")

    def __init__(self, hold: Hold, left: float) -> None:
        self.hold = hold
        self.left = left

    def settle(self, count: int, outcome: Outcome) -> None:
        """So many of its messages have come to this."""
        if outcome is not Outcome.DELIVERED:
            self.hold.note(outcome)
        self.left -= count
        if self.left <= 0:
            self.hold.release()


_NOBODY = _Batch(NO_HOLD, math.inf)


class Shares:
    """A queue's messages, as runs of those of one batch."""

    def __init__(self) -> None:
        """None."""
        self._runs: deque[tuple[_Batch, int]] = deque()

    def add(self, count: int, hold: Hold) -> None:
        """So many more are in the queue, of a delivery of their own."""
        self._add(_NOBODY if hold is NO_HOLD else _Batch(hold, count), count)

    def _add(self, batch: _Batch, count: int) -> None:
        if self._runs and self._runs[-1][0] is batch:
            count += self._runs.pop()[1]
        self._runs.append((batch, count))

    def move(self, count: int, to: Shares) -> None:
        """The first of this queue are at the end of another one now."""
        for batch, size in self._first(count):
            to._add(batch, size)

    def settle(self, count: int, outcome: Outcome) -> None:
        """The first of this queue are in it no more, and have come to this."""
        for batch, size in self._first(count):
            batch.settle(size, outcome)

    def settle_all(self, outcome: Outcome) -> None:
        """All are in it no more."""
        while self._runs:
            batch, size = self._runs.popleft()
            batch.settle(size, outcome)

    def _first(self, count: int) -> Iterable[tuple[_Batch, int]]:
        found = []
        while count > 0 and self._runs:
            batch, size = self._runs.popleft()
            if size > count:
                self._runs.appendleft((batch, size - count))
            found.append((batch, min(size, count)))
            count -= size
        return found

    def resumed(self) -> Call:
        """`with shares.resumed():` what is done is of all these deliveries: which it is of, nobody knows."""
        fates = [batch.hold.fate for batch, _ in self._runs if batch.hold.fate is not None]
        return Call(Several(fates) if fates else None)
