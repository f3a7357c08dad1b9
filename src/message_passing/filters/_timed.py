"""The base of filters that pass messages on by themselves when a time has come."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import AMBIENT, Call, Outcome, Several, outside
from message_passing.errors import OutputClosedError
from message_passing.flow import Filter
from message_passing.output import running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from message_passing.delivery import Hold

_SOONEST = 0.001
"""Seconds that a timer waits at least."""

RECENTLY = 60.0
"""Seconds for which a note of a filter tells of something that has happened."""


class TimedFilter(Filter):
    """A filter with something to pass on later. Define `due` and `pass_due`.

    Within an event loop that happens in time; without one, when the next batch arrives. What is left is passed on at
    the end, or when a reload removes the filter.

    Attributes:
        clock: seconds that never go back.
    """

    def on_init(self) -> None:
        """Nothing is due yet."""
        super().on_init()
        self.clock: Callable[[], float] = monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._gone: OutputClosedError | None = None

    def due(self) -> float:
        """When something has to be passed on, by `clock`; infinite if nothing is kept."""
        raise NotImplementedError

    def pass_due(self, now: float) -> None:
        """Pass on what is due: everything, if `now` is infinite."""
        raise NotImplementedError

    def take(self, messages: list[Any]) -> None:
        """Take a batch: filter it and pass on the rest, unless a class keeps some of it."""
        super().write_many(messages)

    def write_many(self, messages: list[Any]) -> None:
        """Pass on what is due, then take a batch.

        Raises:
            OutputClosedError: when something was passed on, there was no reader any more.
        """
        if self._gone:
            raise self._gone
        now = self.clock()
        if self.due() <= now:
            self._pass_on(now)
            if self._gone:
                self.drop(messages, "closed")
                raise self._gone
        try:
            self.take(messages)
        finally:
            self._wind()

    def _wind(self) -> None:
        due = self.due()
        if due < self._timer_at and (loop := running_loop()):
            if self._timer:
                self._timer.cancel()
            self._timer = loop.call_later(max(_SOONEST, due - self.clock()), self._time_is_up)
            self._timer_at = due

    def _time_is_up(self) -> None:
        self._timer, self._timer_at = None, inf
        self._pass_on(self.clock())
        self._wind()

    def _pass_on(self, now: float) -> None:
        try:
            with outside():  # it is not of the delivery that has just come
                self.pass_due(now)
        except OutputClosedError as error:
            self._gone = error  # raised to our caller later, since the loop that called this cannot use it

    def hand_on_held(self, messages: list[Any], of: int, holds: Sequence[Hold]) -> None:
        """Pass on what was made of messages that were kept, and release their holds.

        Args:
            messages: what is passed on.
            of: how many messages it was made of; those that are more are filtered.
            holds: those of the deliveries that they belong to, besides the present one.

        Raises:
            OutputClosedError: nobody reads any more.
        """
        fates = [hold.fate for hold in holds if hold.fate]
        if AMBIENT.fate:
            fates.append(AMBIENT.fate)
        try:
            with Call(Several(fates) if fates else None):
                self._hand_on(messages, of)
        except OutputClosedError:
            for hold in holds:
                hold.note(Outcome.LOST)
            raise
        finally:
            for hold in holds:
                hold.release()

    async def drain(self) -> None:
        """Wait until what is downstream has room again; what is kept here is not waited for.

        Raises:
            OutputClosedError: when something was passed on, there was no reader any more.
        """
        if self._gone:
            raise self._gone
        await super().drain()

    async def flush(self) -> None:
        """Pass on what is kept, at once."""
        self._pass_on(inf)
        await super().drain()

    def on_close(self) -> None:
        """Pass on what is kept."""
        if self._timer:
            self._timer.cancel()
        self._pass_on(inf)
