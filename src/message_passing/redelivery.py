"""Delivering batches until all of each is settled: again, and again only what the chain has lost of it."""

from __future__ import annotations

import functools
import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import Delivery, Outcome
from message_passing.output import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.source import Source

_FIRST_RETRY, _LONGEST_RETRY = 0.1, 5.0
"""Seconds until a batch that the chain lost is delivered again: at first, and at most."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of a batch.

    Attributes:
        outcome: the worst of any of its messages.
        lost: which were lost, by index; all, if that is not known.
        exact: whether it is known: it is of those that were handed on one by one.
        rejected: whether any was.
    """

    outcome: Outcome
    lost: Sequence[int] = ()
    exact: bool = True
    rejected: bool = False


class DeliveryAttempt:
    """One attempt to hand on a batch, after which it is known what of it was lost.

    Attributes:
        is_losing: something of it was lost within the call; it may be settled later.
    """

    def __init__(
        self,
        owner: Source,
        emit: Callable[[list[Any]], None],
        on_settled: Callable[[AttemptResult], object],
        *,
        comes_again: bool = False,
        tried: int = 0,
    ) -> None:
        """Prepare it.

        Args:
            owner: hands it on.
            emit: does that, with a part of it.
            on_settled: called once, when no component holds any of it.
            comes_again: see `Delivery`.
            tried: likewise.
        """
        self._owner, self._emit, self._on_settled = owner, emit, on_settled
        self._comes_again, self._tried = comes_again, tried
        self.is_losing = False
        self._open = 0
        self._lost: list[int] = []
        self._rejected = False

    def hand_on(self, messages: list[Any], *, one_by_one: bool, in_order: bool = True) -> None:
        """Hand on the batch.

        Args:
            messages: the batch.
            one_by_one: each by itself, so that its outcome is exact.
            in_order: if so, no other is tried after one that is lost at once.

        Raises:
            OutputClosedError: nobody reads any more what is handed on.
        """
        if one_by_one:
            self._one_by_one(messages, in_order)
        else:
            self._together(messages)

    def _together(self, messages: list[Any]) -> None:
        given = [*messages]  # whoever gets the batch should not change it, and may

        def settled(outcome: Outcome) -> None:
            rejected = delivery.is_noted(Outcome.REJECTED)
            if outcome is not Outcome.LOST:
                self._on_settled(AttemptResult(outcome, rejected=rejected))
                return
            lost = delivery.lost_of(given)
            exact = lost is not None or len(given) == 1
            self._on_settled(
                AttemptResult(outcome, range(len(given)) if lost is None else lost, exact, rejected)
            )

        delivery = self._delivery(settled)
        with delivery:
            self._emit(messages)
        self.is_losing = delivery.is_noted(Outcome.LOST)

    def _one_by_one(self, messages: list[Any], in_order: bool) -> None:
        self._open = 1
        try:
            for index, message in enumerate(messages):
                if in_order and self.is_losing:
                    self._lost.extend(range(index, len(messages)))
                    break
                self._open += 1
                settled = functools.partial(self._one_settled, index)
                delivery = self._delivery(settled)
                with delivery:
                    self._emit([message])
                self.is_losing = self.is_losing or delivery.is_noted(Outcome.LOST)
        finally:
            self._close()

    def _delivery(self, settled: Callable[[Outcome], None]) -> Delivery:
        loop = running_loop()
        return Delivery(settled, self._owner, loop, comes_again=self._comes_again, tried=self._tried)

    def _one_settled(self, index: int, outcome: Outcome) -> None:
        if outcome is Outcome.LOST:
            self._lost.append(index)
        self._rejected = self._rejected or outcome is Outcome.REJECTED
        self._close()

    def _close(self) -> None:
        self._open -= 1
        if not self._open:
            rejected = Outcome.REJECTED if self._rejected else Outcome.DELIVERED
            outcome = Outcome.LOST if self._lost else rejected
            self._on_settled(AttemptResult(outcome, sorted(set(self._lost)), rejected=self._rejected))


@dataclass(slots=True, order=True)
class OrderedBatch:
    """A batch that is not settled.

    Attributes:
        number: its place in the order.
        items: what its messages are made of.
        token: whatever its owner wants to find again.
        was_lost: it is delivered again.
    """

    number: int
    items: Sequence[Any] = field(compare=False)
    token: Any = field(compare=False, default=None)
    was_lost: bool = field(compare=False, default=False)


class Redelivery:
    """The batches of one input that its chain has lost, within its event loop.

    What is known not to have been lost is not delivered again. Where it is not known, messages are delivered one by
    one until a batch has passed at its first attempt: their outcomes are exact.

    Attributes:
        redelivered: batches that were delivered once more, since the chain had lost something of them.
    """

    def __init__(
        self,
        owner: Source,
        on_settled: Callable[[OrderedBatch, bool], object],
        as_messages: Callable[[Sequence[Any]], list[Any]] = list,
        *,
        emit: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """None yet.

        Args:
            owner: delivers.
            on_settled: called with a batch and whether it is settled; if not, some of it was lost, which `stalls`.
            as_messages: makes messages of a batch's items, each time that they are delivered: a filter may have
                changed those that were delivered before.
            emit: passes messages on, within their delivery; by default, the owner's.
        """
        self.redelivered = 0
        self._emit = emit or owner.emit
        self._owner, self._on_settled, self._as_messages = owner, on_settled, as_messages
        self._lost: list[OrderedBatch] = []  # a heap
        self._losing: set[int] = set()  # numbers of batches that have lost something, and are not settled
        self._pause, self._retry_at = _FIRST_RETRY, 0.0
        self._one_by_one = False

    def stalls(self) -> bool:
        """Whether the chain has lost something, for which all waits."""
        return bool(self._lost or self._losing)

    def next_time(self) -> float:
        """When what was lost is to be delivered again; infinity if nothing is, or something is not settled."""
        return self._retry_at if self._lost and not self._losing else math.inf

    def again(self) -> bool:
        """Deliver the first batch that was lost again, if it is time; whether it was.

        Raises:
            OutputClosedError: the reader of an output has gone.
        """
        if monotonic() < self.next_time():
            return False
        self.redelivered += 1
        self.deliver(heapq.heappop(self._lost))
        return True

    def deliver(self, batch: OrderedBatch) -> None:
        """Deliver a batch.

        Raises:
            OutputClosedError: the reader of an output has gone.
        """
        messages = self._as_messages(batch.items)
        self._losing.add(batch.number)  # unless it turns out otherwise
        attempt = DeliveryAttempt(
            self._owner, self._emit, functools.partial(self._settled, batch), comes_again=True
        )
        try:
            attempt.hand_on(messages, one_by_one=self._one_by_one)
        finally:
            if not attempt.is_losing:
                self._losing.discard(batch.number)

    def _settled(self, batch: OrderedBatch, result: AttemptResult) -> None:
        self._losing.discard(batch.number)
        if result.outcome is Outcome.LOST:
            progress = len(result.lost) < len(batch.items) and result.exact
            self._one_by_one = self._one_by_one or not result.exact
            self._pause = _FIRST_RETRY if progress and batch.was_lost else self._pause
            batch.items = [batch.items[index] for index in result.lost]
            batch.was_lost = True
            heapq.heappush(self._lost, batch)
            self._retry_at = monotonic() + self._pause
            self._pause = min(_LONGEST_RETRY, 2 * self._pause)
        elif not self._lost:
            self._pause = _FIRST_RETRY
            self._one_by_one = self._one_by_one and batch.was_lost
        self._on_settled(batch, result.outcome is not Outcome.LOST)
