"""Emptying a handler's queue: by its thread, or by a caller if that falls behind or does not run.

A thread takes what is there every few milliseconds, encodes it, and gives it to the sender, because waking somebody
for each record is what costs an application most. Where that thread falls behind, or does not run (uWSGI without
threads, the end of the interpreter), callers do a small share of its work: nobody waits for anybody, since whoever
does not get the lock at once goes on.

While that thread runs, the main thread calls nothing of pyzmq for its share: a signal handler may raise there between
any two steps, also within pyzmq, which then forgets the message that it has just received, such as a subscription.
What it does is encode, and send by a call that nothing interrupts (`batch_send`); hearing is the thread's part.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from message_passing.clock import monotonic
from message_passing.logging import tuning
from message_passing.logging.delivery_thread import DeliveryThread, Opening
from message_passing.logging.signal_safe_lock import SignalSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.transmitter import Transmitter


class Owner(Opening, Protocol):
    """As much of a shipper as this needs.

    Attributes:
        closed: nothing is to be delivered.
        ended: the interpreter has begun to end: no thread can be had.
    """

    closed: bool
    ended: bool


class QueueWorker:
    """Delivers what is in a queue, one thread at a time.

    Attributes:
        lock: held by the one that works: the thread, a caller that helps, `close`, and `flush` and `stats` while
            they look.
        transmitter: what encodes and sends, once there was a record.
        thread: the thread of this opening, if there is one.
    """

    def __init__(self, owner: Owner, make_transmitter: Callable[[], Transmitter]) -> None:
        """Prepare; no thread is started before the first record.

        Args:
            owner: whose queue.
            make_transmitter: called with the first record, under the lock.
        """
        self.lock = SignalSafeLock()
        self.transmitter: Transmitter | None = None
        self.thread: DeliveryThread | None = None
        self._thread_after = 0.0
        self._owner = owner
        self._make_transmitter = make_transmitter

    # For callers: none of this waits, and nothing is raised but what a signal handler raises.

    def attend(self) -> None:
        """See to it that the queue is emptied: called for a record whose time is not between `since` and `due`."""
        try:
            thread = self.thread
            if thread is None or self.transmitter is None:
                self.start()
                if self.thread is None:
                    self.help()
            elif not (not self._owner.due and thread.wake()) and not thread.shows_itself():
                # Until the thread shows itself, every record comes here: after the last one, nothing else would.
                if not thread.is_alive():
                    self.start()
                self.help()
        except Exception:  # noqa: BLE001, S110 - the record is in the queue, and the next one comes here again
            pass

    def help(self, most: int = tuning.HELP_RECORDS) -> None:
        """Do a share of the thread's work, up to so many records, unless another thread is doing it."""
        with contextlib.suppress(Exception):  # a log call does not fail for other records
            self.lock.run(lambda: self._pump(most, quiet=self._left_to_thread()))

    def thread_works(self) -> bool:
        """Whether there is a thread that is at work, as it shows now and then."""
        return self.thread is not None and not self._owner.closed and self.thread.shows_itself()

    def _left_to_thread(self) -> bool:
        """Whether a caller may only send, and nothing that might wait where the socket does.

        In the main thread a signal handler may raise, if ours is at work.
        """
        return self.is_alone() or (
            self.thread_works() and threading.current_thread() is threading.main_thread()
        )

    def is_alone(self) -> bool:
        """Whether callers do not send, since that might wait: see `RecordSocket`."""
        return self.transmitter is not None and self.transmitter.socket.waits

    def start(self) -> None:
        """Create what is missing, and start the thread, unless another thread is doing it.

        Where no thread can be had callers and `close` do it all, and it is tried again now and then.
        """
        thread = self.lock.run(self._make)
        if isinstance(thread, DeliveryThread):  # not in our turn: the thread's first step is to have it
            try:
                thread.start()
            except RuntimeError:
                self.thread = None

    def _make(self) -> DeliveryThread | bool:
        """In our turn: what is missing is there then; the thread, if it is to be started."""
        if self.transmitter is None:
            self.transmitter = self._make_transmitter()
            self.transmitter.socket.wake = self._wake
        now = monotonic()
        if now < self._thread_after or self._owner.ended or (self.thread and self.thread.is_alive()):
            return False
        self._thread_after = now + tuning.THREAD_RETRY
        self.thread = DeliveryThread(self._owner, self)
        return self.thread

    def _wake(self) -> None:
        if self.thread:
            self.thread.ring()

    def forget_thread(self) -> None:
        """The next opening has one of its own; this one ends when it sees that."""
        self.thread = None
        self._thread_after = 0.0

    # For whoever waits its turn

    def work(self, most: int) -> tuple[bool, int] | None:
        """Deliver so many records, in our turn; whether anything moved, and how many wait for a receiver."""
        return self.lock.run(lambda: self._deliver(most), wait=-1)

    def work_within(self, seconds: float) -> None:
        """Deliver all that there is, in our turn, if that comes so soon."""
        with contextlib.suppress(Exception):  # the records are where they were
            self.lock.run(lambda: self._pump(tuning.ALL), wait=seconds)

    def _deliver(self, most: int) -> tuple[bool, int]:
        moved = self._pump(most)
        if self.transmitter is None:
            return moved, 0
        self.transmitter.look_whether_stuck()
        return moved, self.transmitter.waiting

    def _pump(self, most: int, *, quiet: bool = False) -> bool:
        """Deliver what is in the queue, in our turn; whether anything moved."""
        if self.transmitter is None or self._owner.closed:
            return False
        return self.transmitter.deliver(self._owner.queue, most, quiet=quiet)

    def taken(self) -> int:
        """How many records anybody has taken off the queue."""
        return self.transmitter.taken if self.transmitter else 0

    def unfinished(self) -> int:
        """See `Transmitter.unfinished`."""
        return self.transmitter.unfinished if self.transmitter else 0

    def possibly_lost(self) -> dict[str, int]:
        """See `HandlerSocket.possibly_lost`."""
        return self.transmitter.socket.possibly_lost() if self.transmitter else {}

    def release(self) -> None:
        """Close the socket of an opening that is over: the thread's part where there is one, as it may take long."""
        if self.transmitter:
            self.transmitter.socket.release()
