"""Delivers batches in order, again where the chain lost them, and tells how far all is settled."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.output import wait_for_change
from message_passing.redelivery import OrderedBatch, Redelivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.source import Source

MOST_UNSETTLED, MOST_BYTES = 64_000, 16 << 20
"""Lines, and bytes of them, that may be unsettled; one batch alone may have more. Of few lines at a time, it is what
comes in half an hour, so that a filter which counts for that long does not hold them up."""

_PER_BATCH = 2048
"""Bytes that a batch takes besides those of its lines (measured: 2,200, with a hold)."""


class _Lines:
    """A batch of lines: how many, their bytes, and the places that are reached with them."""

    __slots__ = ("count", "places", "settled", "size")

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self.places: list[Any] = []
        self.settled = False


class OrderedDeliveries:
    """The batches of one input that are not settled, within its event loop.

    Attributes:
        reached: the last place up to which all is settled; None if none has been marked.
    """

    def __init__(
        self,
        owner: Source,
        as_messages: Callable[[Sequence[Any]], list[Any]],
        on_reached: Callable[[Any], object] | None = None,
    ) -> None:
        """None yet.

        Args:
            owner: delivers.
            as_messages: see `Redelivery`.
            on_reached: called with each place that is reached, in order.
        """
        self._on_reached = on_reached
        self.reached: Any = None
        self._owner = owner
        self._redelivery = Redelivery(owner, self._settled, as_messages)
        self._batches: deque[_Lines] = deque()
        self._number = self._size = self._unsettled = 0
        self._changed = asyncio.Event()

    @property
    def redelivered(self) -> int:
        """See `Redelivery`."""
        return self._redelivery.redelivered

    def unsettled(self) -> int:
        """Messages that are not settled."""
        return self._unsettled

    def stalls(self) -> bool:
        """Whether the chain has lost something, for which all waits."""
        return self._redelivery.stalls()

    async def deliver(self, lines: Sequence[Any], size: int | None = None) -> None:
        """Deliver a batch, and wait until there may be another one.

        Args:
            lines: what messages are made of.
            size: their bytes, if they are not lines.
        """
        self.deliver_last(lines, size)
        await self._owner.drain()
        await self.catch_up()

    def deliver_last(self, lines: Sequence[Any], size: int | None = None) -> None:
        """Deliver a batch, after which there will be no other."""
        self._number += 1
        batch = _Lines(len(lines), _PER_BATCH + (sum(map(len, lines)) if size is None else size))
        self._batches.append(batch)
        self._size += batch.size
        self._unsettled += batch.count
        self._redelivery.deliver(OrderedBatch(self._number, lines, batch))

    def mark(self, place: Any) -> None:
        """This place is reached when all that has been delivered is settled."""
        if self._batches:
            self._batches[-1].places.append(place)
        else:
            self._reach(place)

    def _reach(self, place: Any) -> None:
        self.reached = place
        if self._on_reached:
            self._on_reached(place)

    async def catch_up(self) -> None:
        """Deliver again what was lost, and wait while too much is unsettled."""
        again = self._redelivery
        while again.stalls() or self._unsettled >= MOST_UNSETTLED or self._size > MOST_BYTES:
            if again.again():
                await self._owner.drain()
                continue
            left = again.next_time() - monotonic()
            await wait_for_change(self._changed, None if math.isinf(left) else left)

    def _settled(self, batch: OrderedBatch, settled: bool) -> None:
        self._changed.set()
        batch.token.settled = settled
        while self._batches and self._batches[0].settled:
            first = self._batches.popleft()
            self._size -= first.size
            self._unsettled -= first.count
            for place in first.places:
                self._reach(place)
