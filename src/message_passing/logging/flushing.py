"""One call of a handler's `flush`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from message_passing.clock import monotonic
from message_passing.errors import OptionError, abbreviate
from message_passing.logging import tuning
from message_passing.logging.record_socket import Departure

if TYPE_CHECKING:
    from collections import deque

    from message_passing.logging.entry import Entry
    from message_passing.logging.queue_worker import QueueWorker
    from message_passing.logging.snapshot import Snapshotted

_LONGEST = threading.TIMEOUT_MAX / 2
"""Seconds that a lock can be waited for, and something to add: centuries."""


def seconds(timeout: Any) -> float:
    """Check the longest time to wait.

    Raises:
        OptionError: it is not a number.
    """
    known = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not known or timeout != timeout:  # noqa: PLR0124 - NaN is no number
        raise OptionError(f"flush: timeout must be a number of seconds, not {abbreviate(timeout)}")
    return float(max(0, min(timeout, _LONGEST)))


class Logged(Protocol):
    """As much of a shipper as this needs."""

    queue: deque[Entry | Snapshotted]
    closed: bool

    def lost(self) -> int:
        """How many records were lost so far."""


class Flush:
    """A wait until everything logged before has left."""

    def __init__(self, logged: Logged, worker: QueueWorker) -> None:
        """It begins.

        Args:
            logged: the handler's records.
            worker: who delivers them.
        """
        self._departure = Departure()
        self._logged, self._worker = logged, worker
        self._lost = logged.lost()
        self._taken: int | None = (
            None  # how many will have been taken off the queue when all those are, once known
        )
        self._tried = False  # whether they were, so that all was sent that can be

    def wait(self, seconds: float, patience: float) -> bool:
        """Send what waits, and wait until it has left; whether it has, and nothing was lost meanwhile.

        Args:
            seconds: how long that may take.
            patience: how much longer another thread that is sending may take first.
        """
        worker, over = self._worker, monotonic() + seconds
        last = over + patience
        pause, resting = 0.0, threading.Lock()
        resting.acquire()
        while True:
            if worker.thread_works() and worker.thread:
                worker.thread.hurry(begins=not pause)
            else:
                worker.work_within(max(0.0, last - monotonic()))
            left = worker.lock.run(self._judge, wait=max(0.0, last - monotonic()))
            now = monotonic()
            if left or now >= last or (self._tried and now >= over):
                return bool(left) and self._logged.lost() == self._lost
            pause = min(2 * pause or tuning.FIRST_LOOK, tuning.TICK)
            resting.acquire(timeout=pause)  # not time.sleep, which tests replace

    def _judge(self) -> bool:
        """Whether all has left, in our turn."""
        transmitter, queue = self._worker.transmitter, self._logged.queue
        if transmitter is None or self._logged.closed:
            self._tried = True
            return not queue and (transmitter is None or transmitter.has_left(self._departure))
        if self._taken is None:
            self._taken = transmitter.taken + len(queue)
        self._tried = not queue or transmitter.taken >= self._taken
        return self._tried and transmitter.has_left(self._departure)
