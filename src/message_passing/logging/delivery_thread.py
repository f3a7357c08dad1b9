"""The thread that empties a handler's queue: when it works, when it leaves the work to callers, when it sleeps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from message_passing.clock import monotonic, wall
from message_passing.logging import tuning
from message_passing.logging.encoders import senders

if TYPE_CHECKING:
    from collections import deque

    from message_passing.logging.entry import Entry
    from message_passing.logging.snapshot import Snapshotted


class Opening(Protocol):
    """As much of a shipper as this needs."""

    queue: deque[Entry | Snapshotted]
    since: float
    due: float
    crowded: float

    def needs(self, thread: DeliveryThread) -> bool:
        """Whether this thread is to go on."""

    def is_orphaned(self) -> bool:
        """Whether the handler has been garbage-collected, so that nothing can close it."""

    def tell(self, *, last: bool = False) -> None:
        """Write pending reports to stderr."""

    def close(self) -> None:
        """Send what is left, and end."""


class Work(Protocol):
    """As much of a `QueueWorker` as this needs."""

    def work(self, most: int) -> tuple[bool, int] | None:
        """Deliver up to so many records, holding the lock; whether anything moved, and how many still wait."""

    def taken(self) -> int:
        """How many records anybody has taken off the queue."""

    def is_alone(self) -> bool:
        """Whether callers do not send."""

    def unfinished(self) -> int:
        """How many records may still be acknowledged, or wait."""

    def release(self) -> None:
        """Close the socket of an opening that is over."""


class DeliveryThread:
    """The thread of one opening of a handler.

    Attributes:
        seen: until when it is at work for certain, by `clock.monotonic`: then callers leave everything to it.
    """

    def __init__(self, opening: Opening, work: Work) -> None:
        """Prepare it."""
        self._opening = opening
        self._work = work
        self._bell = (
            threading.Lock()
        )  # released by who rings; it need not be rung before the thread has begun
        self.seen = monotonic() + tuning.THREAD_PATIENCE
        self._hurries_until = 0.0
        self._looked = 0.0
        self._left, self._taken = 0, work.taken()  # records in the queue, and taken from it, at the last look
        self._thread = threading.Thread(target=self._run, name="message-passing-log", daemon=True)

    # For callers

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the interpreter is ending, or the system gives no more threads.
        """
        self.seen = monotonic() + tuning.THREAD_PATIENCE
        self._thread.start()

    def shows_itself(self) -> bool:
        """Whether it has, not long ago: see `seen`."""
        return monotonic() <= self.seen

    def wake(self) -> bool:
        """Wake it, unless it has been woken; callers leave all to it for as long as that may take."""
        if not self._bell.locked():
            return False
        try:
            self.seen = monotonic() + tuning.THREAD_PATIENCE
            self._opening.due = wall() + tuning.THREAD_PATIENCE
        finally:  # whatever a signal handler raises: a thread that sleeps while nobody rings would not be missed
            self.ring()
        return True

    def ring(self) -> None:
        """Have it look at once."""
        try:
            self._bell.release()
        except RuntimeError:  # another thread has woken it
            return

    def hurry(self, *, begins: bool) -> None:
        """Have it deliver everything: a caller waits for that, and calls this at the start and at each check."""
        hurries, self._hurries_until = self._hurries(), monotonic() + tuning.HURRY
        if begins or not hurries:
            self.ring()

    def end(self, seconds: float) -> bool:
        """Wait until it has ended, since `needs` says so; whether it has."""
        self.ring()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Whether it has started, and not ended."""
        return self._thread.is_alive()

    def is_current(self) -> bool:
        """Whether it is the one that asks."""
        return self._thread is threading.current_thread()

    # The thread itself

    def _run(self) -> None:
        senders.add(threading.get_ident())
        try:
            self._deliver()
        finally:
            senders.discard(threading.get_ident())

    def _deliver(self) -> None:
        opening, idle = self._opening, 0
        self._bell.acquire(blocking=False)
        self._work.release()  # who closed may have been interrupted
        while opening.needs(self):
            if opening.is_orphaned():
                opening.close()
                break
            moved, waiting = False, 0
            self._show()
            hurries = self._hurries()
            try:
                if not hurries and self._in_burst():
                    moved = True
                    self._look()
                else:
                    moved, waiting = self._empty(tuning.ALL if hurries else tuning.BITE)
                self._left, self._taken = len(opening.queue), self._work.taken()
                opening.tell()
            except BaseException:  # noqa: BLE001 - whatever it is, the next records are not to wait for ever
                waiting = 1
            idle = 0 if moved or waiting or hurries else idle + 1
            if idle > tuning.IDLE_TICKS:
                idle = 0 if self._sleep() else idle
            else:  # not time.sleep, which tests replace
                slow = waiting and not moved and not hurries
                self._bell.acquire(timeout=tuning.SLOW_TICK if slow else tuning.TICK)
        self._work.release()
        opening.tell(last=True)

    def _show(self) -> None:
        """Say that it is at work: callers need not be for a while."""
        now = wall()
        self._opening.since, self._opening.due = now - tuning.OLD, now + tuning.THREAD_PATIENCE
        self.seen = monotonic() + tuning.THREAD_PATIENCE

    def _hurries(self) -> bool:
        return monotonic() < self._hurries_until

    def _in_burst(self) -> bool:
        """Whether callers log so much that they need no turns of ours; when it gets crowded, they help."""
        grown = len(self._opening.queue) - self._left
        helped = self._work.taken() != self._taken and not self._work.is_alone()
        return helped or (grown > tuning.BURST_RECORDS and self._left + grown <= self._opening.crowded)

    def _look(self) -> None:
        """Hear what peers do, which callers do not: a short turn, since they would have to wait for a long one."""
        if monotonic() - self._looked > tuning.HEAR:
            self._work.work(0)
            self._looked = monotonic()

    def _empty(self, bite: int) -> tuple[bool, int]:
        """Deliver what is in the queue; whether anything moved, and how many records wait for a receiver."""
        moved, waiting, queued = False, 0, len(self._opening.queue)
        while True:  # in bites, so that a caller that wants to help need not wait for its turn long
            self._show()
            if done := self._work.work(bite):
                moved, waiting = done[0] or moved, done[1]
            self._looked = monotonic()
            left = len(self._opening.queue)
            if not left or left > queued or not self._opening.needs(self):
                return moved, waiting

    def _sleep(self) -> bool:
        """Sleep until there is something to do; whether there may be."""
        opening = self._opening
        opening.due = 0.0  # the next record rings
        if not (opening.queue or self._hurries() or opening.is_orphaned() or not opening.needs(self)):
            return self._bell.acquire(timeout=tuning.WATCH if self._work.unfinished() else tuning.PEERS)
        return True
