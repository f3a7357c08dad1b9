"""That somebody has asked a run to stop, as its components see it, and how much work is begun after that."""

from __future__ import annotations

import math

from message_passing.clock import monotonic

SLICE = 0.1
"""Seconds of work after which results are handed on, and a stop is looked for, within a batch."""

WORK_AFTER_STOP = 2.0
"""Seconds of work that a component which goes message by message still begins after a stop."""

NOT_STARTED = "not started at stop"
"""Why messages are dropped that a component had been given and had not begun with when it had to end."""


class StopRequest:
    """Whether a stop was asked for, and when. One is shared by all components of a run.

    Attributes:
        asked_at: the moment, by `clock.monotonic`; infinite until then.
    """

    __slots__ = ("asked_at",)

    def __init__(self) -> None:
        self.asked_at = math.inf

    def ask(self) -> None:
        """Ask for it: from any thread, or a signal handler. Asking again changes nothing."""
        self.asked_at = min(self.asked_at, monotonic())

    @property
    def asked(self) -> bool:
        """Whether it was asked for."""
        return self.asked_at < math.inf


NEVER = StopRequest()
"""What a component has that nobody runs."""
