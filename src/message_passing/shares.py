"""Which deliveries the messages in a queue belong to: how many of each, in order."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from message_passing.delivery import NO_HOLD, Call, Hold, Outcome, Several

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Batch:
    """One delivery's messages in a queue. It is held until all of them are settled."""

    __slots__ = ("hold", "left")

    def __init__(self, hold: Hold, left: float) -> None:
        self.hold = hold
        self.left = left

    def settle(self, count: int, outcome: Outcome) -> None:
        """Record this outcome for so many of its messages."""
        if outcome is not Outcome.DELIVERED:
            self.hold.note(outcome)
        self.left -= count
        if self.left <= 0:
            self.hold.release()


_NOBODY = _Batch(NO_HOLD, math.inf)


class Shares:
    """A queue's messages, as runs of those of one batch."""

    def __init__(self) -> None:
        """Start with an empty queue."""
        self._runs: deque[tuple[_Batch, int]] = deque()

    def add(self, count: int, hold: Hold) -> None:
        """Append so many messages, of the current delivery."""
        self._add(_NOBODY if hold is NO_HOLD else _Batch(hold, count), count)

    def _add(self, batch: _Batch, count: int) -> None:
        if self._runs and self._runs[-1][0] is batch:
            count += self._runs.pop()[1]
        self._runs.append((batch, count))

    def move(self, count: int, to: Shares) -> None:
        """Move the first messages of this queue to the end of another one."""
        for batch, size in self._first(count):
            to._add(batch, size)

    def settle(self, count: int, outcome: Outcome) -> None:
        """Remove the first messages of this queue, with this outcome."""
        for batch, size in self._first(count):
            batch.settle(size, outcome)

    def settle_all(self, outcome: Outcome) -> None:
        """Remove all."""
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
        """`with shares.resumed():` what is done counts towards all these deliveries, since the one is not known."""
        fates = [batch.hold.fate for batch, _ in self._runs if batch.hold.fate is not None]
        return Call(Several(fates) if fates else None)
