"""That somebody has asked a run to stop, as its components see it, and how much work is begun after that."""

from __future__ import annotations

import math

from message_passing.clock import monotonic


class StopRequest:
    """Whether a stop was asked for, and when. One is shared by all components of a run.

    Attributes:
        asked: whether it was.
        asked_at: the moment, by `clock.monotonic`; infinite until then.
    """

    __slots__ = ("asked", "asked_at")

    def __init__(self) -> None:
        self.asked = False
        self.asked_at = math.inf

    def ask(self) -> None:
        """Ask for it: from any thread, or a signal handler. Asking again changes nothing."""
        if not self.asked:
            self.asked_at = monotonic()
            self.asked = True


NEVER = StopRequest()
"""What a component has that nobody runs."""
