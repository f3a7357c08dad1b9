"""That somebody has asked a run to stop, as its components see it, and how much work is begun after that."""

from __future__ import annotations

import math

from message_passing.clock import monotonic


class StopRequest:
    """Whether a stop was asked for, and when. One is shared by all components of a run.

    Attributes:
        asked: whether it was.
        asked_at: the moment, by `clock.monotonic`; infinite until then.
        worked: seconds of work that components which go message by message have done after that, all together.
        closing_since: when, after that, the first component that waits at its close began to; None until then.
    """

    __slots__ = ("asked", "asked_at", "closing_since", "worked")

    def __init__(self) -> None:
        self.asked = False
        self.asked_at = math.inf
        self.worked = 0.0
        self.closing_since: float | None = None

    def ask(self) -> None:
        """Ask for it: from any thread, or a signal handler. Asking again changes nothing."""
        if not self.asked:
            self.asked_at = monotonic()
            self.asked = True

    def begin_closing(self) -> float:
        """The moment from which a component that is closed now counts how long it waits for receivers.

        After a stop it is the same for all: what waits in the others goes on being sent while one waits.
        """
        if not self.asked:
            return monotonic()
        if self.closing_since is None:
            self.closing_since = monotonic()
        return self.closing_since


NEVER = StopRequest()
"""What a component has that nobody runs."""
