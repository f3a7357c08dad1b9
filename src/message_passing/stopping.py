"""The request to stop a run, as its components see it, and how much work may begin after it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import MessagePassingError

if TYPE_CHECKING:
    from collections.abc import Awaitable


class StopRequest:
    """Whether a stop was requested, and when. All components of a run share one.

    Attributes:
        asked: whether it was.
        asked_at: the moment, by `clock.monotonic`; infinite until then.
        worked: seconds that components working message by message have spent since then, in total.
        closing_since: when, after that, the first component began to wait in its close; None until then.
        caught: what counts as a failure of the code that raises it. SystemExit and KeyboardInterrupt do where a
            run obeys the signals (`event_loop.obey_signals`): then only a component can have raised them.
        emptied: what is emptied when it is requested: a loop over it ends with the item that it is at.
    """

    __slots__ = ("asked", "asked_at", "caught", "closing_since", "emptied", "worked")

    def __init__(self) -> None:
        self.asked = False
        self.asked_at = math.inf
        self.worked = 0.0
        self.closing_since: float | None = None
        self.caught: tuple[type[BaseException], ...] = (Exception,)
        self.emptied: list[Any] | None = None

    def ask(self) -> None:
        """Request it: from any thread, or from a signal handler. Another request changes nothing."""
        if not self.asked:
            self.asked_at = monotonic()
            self.asked = True
            if (rest := self.emptied) is not None:
                rest.clear()

    def resume(self, outer: list[Any] | None) -> None:
        """A loop within another one has ended: this is of the outer one, if any."""
        self.emptied = outer
        if outer and self.asked:
            outer.clear()

    def begin_closing(self) -> float:
        """The moment from which a component that is being closed counts how long it waits for receivers.

        After a stop it is the same for all: while one waits, the others keep sending what they have buffered.
        """
        if not self.asked:
            return monotonic()
        if self.closing_since is None:
            self.closing_since = monotonic()
        return self.closing_since

    async def failing(self, work: Awaitable[None]) -> None:
        """Await a component's work, of which what is `caught` fails it: a task that raises SystemExit ends the loop.

        Raises:
            MessagePassingError: for SystemExit and KeyboardInterrupt.
        """
        try:
            await work
        except (SystemExit, KeyboardInterrupt) as error:
            if isinstance(error, self.caught):
                raise raised_exit(error) from error
            raise


def raised_exit(error: BaseException) -> MessagePassingError:
    """The error of a component that raised SystemExit or KeyboardInterrupt."""
    return MessagePassingError(f"it raised {error!r}")


FROM_COMPONENTS = (Exception, SystemExit, KeyboardInterrupt)
"""What is `caught` in a process whose signals a run obeys."""

NEVER = StopRequest()
"""The request of components that no runner runs: never made."""
