"""Processing a batch whose speed is not known beforehand: a user's code may take long for a message.

The results of a batch are passed on after each `SLICE` of work, and a stop is obeyed between two messages. Where
messages are quick, the clock is read once for several of them, so that they do not pay for it.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from operator import length_hint
from typing import TYPE_CHECKING, Any, Protocol

from message_passing.clock import monotonic
from message_passing.errors import OutputClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from message_passing.metrics import Metrics
    from message_passing.stopping import StopRequest

SLICE = 0.1
"""Seconds of work within a batch after which results are passed on."""

QUICK = 0.001
"""Seconds for a message; below that, the clock is read only once every `STRIDE` messages."""

STRIDE, LONG_STRIDE = 16, 64
"""The second where fields are chosen by, once `_TRUSTED` messages have been quick one after the other."""

_TRUSTED = 1000

SLOW = 0.25
"""Seconds for a message; where one takes that long, none is begun after a stop."""

WORK_AFTER_STOP = 3.0
"""Seconds of work that is still done after a stop, for all components that work message by message together."""

NOT_STARTED = "not started at stop"
"""Why messages are dropped that a component had received but not begun when it had to stop."""

_GROWTH = 4
"""The factor by which the next piece of a batch may be larger than the one before, if that was quick."""


class Paced(Protocol):
    """A component that processes batches."""

    metrics: Metrics
    stop_request: StopRequest

    def fail_one(self, error: BaseException, message: Any, gone: int) -> None:
        """See `Component.fail_one`."""

    def lost_since(self, failed: int, losses: int) -> int:
        """See `Component.lost_since`."""

    def drop(self, lost: int | Collection[Any], reason: str) -> None:
        """See `Component.drop`."""


class Pace:
    """How one component processes its batches.

    Attributes:
        work_left: seconds of work that it may still do after a stop.
        most: the most messages passed at once to a function for batches.
    """

    def __init__(self, component: Paced, most: float = inf) -> None:
        """Start with nothing measured.

        Args:
            component: the component.
            most: see the attribute. It adapts to the time that the function takes.
        """
        self.work_left = WORK_AFTER_STOP
        self.most = most
        self._component = component
        self._quick = 0  # messages since the last that was not

    def write_each(self, write: Callable[[Any], object], messages: Sequence[Any]) -> None:
        """Call `write` with each message.

        Raises:
            OutputClosedError: it did.
        """
        component, metrics = self._component, self._component.metrics
        stop, rest, left = component.stop_request, _iter(messages), len(messages)
        stride, began = 1, monotonic()
        while left > 0 and self.work_left > 0:
            for message in islice(rest, stride):
                failed, losses = metrics.failed, metrics.losses
                try:
                    write(message)
                except OutputClosedError:
                    raise
                except component.stop_request.caught as error:
                    component.fail_one(error, message, component.lost_since(failed, losses))
                if stop.asked:
                    break
            before, left = left, left - stride if not stop.asked else length_hint(rest)
            now = monotonic()
            if stop.asked or now - began >= QUICK * stride:
                self._work(began, now, before - left)
                stride = 1
            elif stride < STRIDE:
                stride *= 2
            began = now
        self._leave(rest, left)

    def filter_each(
        self,
        apply: Callable[[Any], Any],
        messages: Sequence[Any],
        kept: list[Any],
        hand_on: Callable[..., None],
    ) -> None:
        """Call `apply` with each message, and pass on what it returns, unless that is None.

        Args:
            apply: may raise.
            messages: the batch.
            kept: an empty list for what it returns; others may add to it, too.
            hand_on: receives what was kept, of how many messages, and those not begun yet.
        """
        component, metrics = self._component, self._component.metrics
        stop, rest, left, stride = component.stop_request, _iter(messages), len(messages), 1
        first, lost, began = left, metrics.losses - metrics.received, monotonic()
        due = began + SLICE
        while left > 0 and self.work_left > 0:
            for message in islice(rest, stride):
                failed, losses = metrics.failed, metrics.losses
                try:
                    result = apply(message)
                except component.stop_request.caught as error:
                    component.fail_one(error, message, component.lost_since(failed, losses))
                else:
                    if result is not None:
                        kept.append(result)
                if stop.asked:
                    break
            before, left = left, left - stride if not stop.asked else length_hint(rest)
            now = monotonic()
            if stop.asked or now - began >= QUICK * stride:
                self._work(began, now, before - left)
                stride = 1
            elif stride < STRIDE:
                stride *= 2
            began = now
            if began >= due and left > 0:
                ready = kept[:]
                kept.clear()
                hand_on(ready, first - left - (metrics.losses - metrics.received - lost), rest)
                first, lost, began = left, metrics.losses - metrics.received, monotonic()
                due = began + SLICE
        left = self._leave(rest, left)
        hand_on(kept, first - left - (metrics.losses - metrics.received - lost), ())

    def choose_each(
        self,
        keeps: Callable[[Any], object],
        items: list[Any],
        chosen: list[object],
        hand_on: Callable[[int, list[object], int, range], None],
    ) -> None:
        """Call `keeps` with each item, and pass on what it returned. What fails, or was not begun, is a number.

        Args:
            keeps: may raise.
            items: the batch.
            chosen: an empty list for what `keeps` returns, of the present piece: False if it raised.
            hand_on: receives the number of the first item of a piece, what `keeps` returned for each of the piece,
                how many of them are not lost, and the numbers of those not begun yet.
        """
        component, metrics = self._component, self._component.metrics
        stop, count, done, began = component.stop_request, len(items), 0, monotonic()
        stride = LONG_STRIDE if self._quick >= _TRUSTED else 1
        outer = stop.emptied  # of a call within which this one is: `keeps` may pass messages on itself
        first, lost, due = 0, metrics.losses, began + SLICE
        while done < count and self.work_left > 0:
            stop.emptied = rest = items[done : done + stride]
            if stop.asked:  # perhaps just before that
                del rest[1:]
            losses = metrics.losses
            try:
                chosen.extend(map(keeps, rest))
            except component.stop_request.caught as error:
                # Those before this one that it has dropped, it has not kept either.
                removed = sum(one is False or one is None for one in chosen[done - first :])
                component.fail_one(error, first + len(chosen), max(0, metrics.losses - losses - removed))
                chosen.append(False)
            before, done = done, first + len(chosen)
            began, stride = self._strode(began, stride, done - before)
            if began >= due and done < count:
                ready = chosen[:]
                chosen.clear()
                hand_on(first, ready, len(ready) - (metrics.losses - lost), range(done, count))
                first, lost, began = done, metrics.losses, monotonic()
                due = began + SLICE
        stop.resume(outer)
        settled = metrics.losses - lost
        if done < count:
            component.drop(range(done, count), NOT_STARTED)
        hand_on(first, chosen, len(chosen) - settled, range(0))

    def _strode(self, began: float, stride: int, done: int) -> tuple[float, int]:
        """Record how long so many messages took; return when that was, and how many to handle until the next time."""
        now = monotonic()
        if self._component.stop_request.asked or now - began >= QUICK * stride:
            self._work(began, now, done)
            self._quick = 0
            return now, 1
        self._quick += done
        return now, min(stride * 2, LONG_STRIDE if self._quick >= _TRUSTED else STRIDE)

    def filter_pieces(
        self,
        filter_many: Callable[[Any], list[Any]],
        messages: Any,
        hand_on: Callable[..., None],
        fail_left: Callable[..., None],
    ) -> None:
        """Call `filter_many` with the batch, in pieces that take about `SLICE` each if it is slow.

        Args:
            filter_many: takes a list and returns one.
            messages: the batch.
            hand_on: as for `filter_each`.
            fail_left: receives a piece at which `filter_many` raised an error; the next ones follow.
        """
        component, metrics = self._component, self._component.metrics
        while True:
            if self.work_left <= 0:
                component.drop(messages, NOT_STARTED)
                return
            most = 1 if component.stop_request.asked else self.most
            whole = len(messages) <= most
            size = len(messages) if whole else int(most)
            piece, messages = (messages, ()) if whole else (messages[:size], messages[size:])
            before, received, began = metrics.losses + metrics.passed, metrics.received, monotonic()
            try:
                kept = filter_many(piece)
            except OutputClosedError:
                raise
            except component.stop_request.caught as error:
                gone = metrics.losses + metrics.passed - before
                fail_left(error, piece, size, gone, metrics.received - received)
                kept = []
            now = monotonic()
            self.most = next_size(self.most, size, now - began)
            self._work(began, now, size)
            settled = metrics.losses + metrics.passed - before - (metrics.received - received)
            hand_on(kept, size - settled, messages)
            if not messages:
                return

    def _work(self, began: float, ended: float, done: int) -> None:
        """Share one allowance of work among all components that are run together."""
        stop = self._component.stop_request
        if stop.asked:
            self.spend(began, ended, done)
            stop.worked += ended - max(began, min(ended, stop.asked_at))
            if stop.worked >= WORK_AFTER_STOP:
                self.work_left = 0.0

    def spend(self, began: float, ended: float, done: int) -> None:
        """Record that so many messages took from `began` to `ended`. Nothing is charged before a stop request."""
        stop = self._component.stop_request
        if stop.asked:
            self.work_left -= ended - max(began, min(ended, stop.asked_at))
            if ended - began >= SLOW * max(1, done):
                self.work_left = 0.0

    def _leave(self, rest: Iterator[Any], left: int) -> int:
        """Count the messages that were not begun, and return how many."""
        lost = [*rest] if left > 0 else []
        self._component.drop(lost, NOT_STARTED)
        return len(lost)


def next_size(size: float, done: int, took: float) -> float:
    """How many messages the next piece of a batch should have, so that it takes about a `SLICE`.

    Args:
        size: the estimate so far.
        done: how many the last piece had, at most `size`.
        took: the seconds that it took.
    """
    fitting = done * min(_GROWTH, SLICE / max(took, 1e-9))
    return max(1.0, fitting if fitting < done else max(fitting, size))


def _iter(messages: Sequence[Any]) -> Iterator[Any]:
    """An iterator that knows how many are left (PEP 424)."""
    return iter(messages if type(messages) is list else [*messages])
