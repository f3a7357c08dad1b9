"""One call of a handler's `flush`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from message_passing.errors import OptionError, abbreviate

if TYPE_CHECKING:
    from message_passing.zeromq.sending import Sender

_LONGEST = threading.TIMEOUT_MAX / 2
"""Seconds that a lock can be waited for, and something to add: centuries."""


def seconds(timeout: Any) -> float:
    """How long to wait at most.

    Raises:
        OptionError: it is no number.
    """
    known = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not known or timeout != timeout:  # noqa: PLR0124 - NaN is no number
        raise OptionError(f"flush: timeout must be a number of seconds, not {abbreviate(timeout)}")
    return float(max(0, min(timeout, _LONGEST)))


class Flush:
    """Somebody waits until what was logged before has left.

    Attributes:
        over: when that is given up, by `clock.monotonic`.
        lost: records that were lost before.
        taken: how many records will have been taken off the queue when all those are; None until that is known.
        tried: whether they were, so that all was sent that can be.
        given: messages that ZeroMQ had been given when all was; None until it was.
        sender: by which socket.
        quiet_since: when the system was first seen without anything to send, by `clock.monotonic`.
    """

    def __init__(self, over: float, lost: int) -> None:
        """It begins."""
        self.over = over
        self.lost = lost
        self.taken: int | None = None
        self.tried = False
        self.given: int | None = None
        self.sender: Sender | None = None
        self.quiet_since: float | None = None
