"""Delivers batches in order, again where the chain lost them, and tells how far all is settled."""

from __future__ import annotations

import asyncio
import functools
import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.output import wait_for_change

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.source import Source

MOST_BATCHES, MOST_BYTES = 64, 16 << 20
"""Batches, and bytes of them, that may be unsettled; one alone may have more bytes."""

_FIRST_RETRY, _LONGEST_RETRY = 0.1, 5.0
"""Seconds until a batch that the chain lost is delivered again: at first, and at most."""


@dataclass(slots=True, order=True)
class _Batch:
    number: int
    lines: list[bytes] = field(compare=False)
    size: int = field(compare=False)
    place: Any = field(compare=False, default=None)
    settled: bool = field(compare=False, default=False)


class OrderedDeliveries:
    """The batches of one input that are not settled, within its event loop.

    Attributes:
        reached: the place up to which all is settled; None if none has been marked.
        redelivered: batches that were delivered once more, since the chain had lost something of them.
    """

    def __init__(self, owner: Source, as_messages: Callable[[list[bytes]], list[Any]]) -> None:
        """None yet.

        Args:
            owner: delivers.
            as_messages: makes messages of lines, each time that they are delivered: a filter may have changed those
                that were delivered before.
        """
        self.reached: Any = None
        self.redelivered = 0
        self._owner, self._as_messages = owner, as_messages
        self._batches: deque[_Batch] = deque()
        self._lost: list[_Batch] = []  # a heap
        self._number = self._size = 0
        self._pause, self._retry_at = _FIRST_RETRY, 0.0
        self._changed = asyncio.Event()

    def unsettled(self) -> int:
        """Messages that are not settled."""
        return sum(len(batch.lines) for batch in tuple(self._batches))

    def stalls(self) -> bool:
        """Whether the chain has lost something, for which all waits."""
        return bool(self._lost)

    async def deliver(self, lines: list[bytes]) -> None:
        """Deliver a batch, and wait until there may be another one."""
        self.deliver_last(lines)
        await self._owner.drain()
        await self.catch_up()

    def deliver_last(self, lines: list[bytes]) -> None:
        """Deliver a batch, after which there will be no other."""
        self._number += 1
        batch = _Batch(self._number, lines, sum(map(len, lines)))
        self._batches.append(batch)
        self._size += batch.size
        self._hand_on(batch)

    def mark(self, place: Any) -> None:
        """This place is reached when all that has been delivered is settled."""
        if self._batches:
            self._batches[-1].place = place
        else:
            self.reached = place

    async def catch_up(self) -> None:
        """Deliver again what was lost, and wait while too much is unsettled."""
        while self._lost or len(self._batches) >= MOST_BATCHES or self._size > MOST_BYTES:
            left = self._retry_at - monotonic()
            if self._lost and left <= 0:
                self.redelivered += 1
                self._hand_on(heapq.heappop(self._lost))
                await self._owner.drain()
                continue
            await wait_for_change(self._changed, left if self._lost else None)

    def _hand_on(self, batch: _Batch) -> None:
        self._owner.deliver(
            self._as_messages(batch.lines), functools.partial(self._settled, batch), comes_again=True
        )

    def _settled(self, batch: _Batch, outcome: Outcome) -> None:
        self._changed.set()
        if outcome is Outcome.LOST:
            heapq.heappush(self._lost, batch)
            self._retry_at = monotonic() + self._pause
            self._pause = min(_LONGEST_RETRY, 2 * self._pause)
            return
        if not self._lost:
            self._pause = _FIRST_RETRY
        batch.settled = True
        while self._batches and self._batches[0].settled:
            first = self._batches.popleft()
            self._size -= first.size
            if first.place is not None:
                self.reached = first.place
