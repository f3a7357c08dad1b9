"""Whose turn it is to send: a lock that is not lost when a signal handler raises.

Python runs signal handlers between any two steps of the main thread. One that raises right after `acquire` has
returned leaves a lock that nobody will release: no `try` has begun yet. Here the holder says that it is at work
only within its `try`, so that a lock that is held while nobody is at work can be told, and released.
"""

from __future__ import annotations

import contextlib
import threading

from message_passing.clock import monotonic

FORGOTTEN = 3.0
"""Seconds for which a lock must be seen held with nobody at work. Between the two steps a thread may have to
wait for its turn among many others."""

_GLANCE, _GLANCES = 0.02, 25
"""Seconds between two looks of somebody who waits, and how many with nobody at work are enough for it."""

RECOVERY = 2 * _GLANCE * _GLANCES
"""Seconds after which whoever waits has it for certain, if nobody is at work."""


class Turn:
    """The lock.

    Whoever has taken it does its work so; there must be no call before `at_work` nor before `release`:

        try:
            turn.at_work = True
            turn.idle_since = 0.0
            ...
        finally:
            turn.at_work = False
            turn.lock.release()

    Attributes:
        at_work: whether somebody is.
        idle_since: when the lock was first seen held with nobody at work; 0 if not since it was taken last.
    """

    def __init__(self) -> None:
        self.at_work = False
        self.lock = threading.Lock()
        self.idle_since = 0.0

    def take(self, timeout: float) -> bool:
        """Take it, waiting so many seconds at most; whether that worked."""
        deadline, idle = monotonic() + timeout, 0
        while not self.lock.acquire(timeout=_GLANCE):
            idle = 0 if self.at_work else idle + 1
            if idle > _GLANCES:
                self._give_up_for_lost()
            elif monotonic() > deadline:
                return False
        return True

    def await_ours(self) -> None:
        """Take it, however long that takes, looking whether it was forgotten."""
        while not self.lock.acquire(timeout=FORGOTTEN / 10):
            self.look()

    def look(self) -> None:
        """Who did not get it without waiting looks whether it was forgotten."""
        since = self.idle_since  # read once: whoever takes the lock sets it back at any moment
        if self.at_work:
            self.idle_since = 0.0
        elif not since:
            self.idle_since = monotonic()
        elif monotonic() - since > FORGOTTEN and self.idle_since == since:
            self.idle_since = 0.0
            self._give_up_for_lost()

    def _give_up_for_lost(self) -> None:
        with contextlib.suppress(RuntimeError):  # it was released just now
            self.lock.release()
