"""The request to stop a run, as its components see it, and how much work may begin after it."""

from __future__ import annotations

import math
from typing import Any

from message_passing.clock import monotonic


class StopRequest:
    """Whether a stop was requested, and when. All components of a run share one.

    Attributes:
        asked: whether it was.
        asked_at: the moment, by `clock.monotonic`; infinite until then.
        worked: seconds that components working message by message have spent since then, in total.
        closing_since: when, after that, the first component began to wait in its close; None until then.
        emptied: what is emptied when it is requested: a loop over it ends with the item that it is at.
    """

    __slots__ = ("asked", "asked_at", "closing_since", "emptied", "worked")

    def __init__(self) -> None:
        self.asked = False
        self.asked_at = math.inf
        self.worked = 0.0
        self.closing_since: float | None = None
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


NEVER = StopRequest()
"""The request of components that no runner runs: never made."""
