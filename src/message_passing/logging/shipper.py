"""The road from a log call to the socket: a queue that anybody appends to, and a thread that empties it.

The caller's part is one append. A thread takes what is there every few milliseconds, encodes it, and gives
it to the sender, because waking somebody for each record is what costs an application most. It sleeps when
nothing is logged. Where that thread falls behind, or does not run at all (uWSGI without threads, the end
of the interpreter), callers do a small share of its work: nobody waits for anybody, since whoever does not
get the lock at once goes on.

A forked child starts anew: its queue, counters, thread and socket are its own.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.logging import lifetime, pace
from message_passing.logging.delivery import Delivery
from message_passing.logging.losses import Losses, Report
from message_passing.logging.turn import Turn
from message_passing.zeromq.sending import QUEUE_FULL

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.backlog import Policy
    from message_passing.logging.entry import Entry
    from message_passing.logging.taken import Taken
    from message_passing.zeromq.sockets import SocketSettings


class Shipper:
    """Queue and thread of one handler. The public attributes are for the handler's hot path."""

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        make_encoder: Callable[[], Callable[[Entry | Taken], bytes]],
        *,
        report_interval: float | None = None,
    ) -> None:
        """Prepare; nothing is opened and no thread is started before the first record.

        Args:
            settings: the socket's; its high-water mark bounds what waits here.
            policy: what goes when there is too much.
            make_encoder: makes the function that encodes a record, in this process.
            report_interval: seconds between two lines on stderr about new losses; None for none at all.
        """
        self._report_interval = report_interval
        self._settings = settings
        self._policy = policy
        self._make_encoder = make_encoder
        self._closed = False
        self._begin()
        lifetime.register(self)

    def _begin(self) -> None:
        self.queue: deque[Entry | Taken] = deque()
        self.limit: float = self._settings.hwm or float("inf")
        self.due = 0.0
        self.crowded = min(pace.HELP_ABOVE, self.limit * 0.8, self.limit - 2)
        self.sequence = itertools.count(1)
        self.failed = 0
        self._report = Report(self._report_interval)
        self._losses = Losses()
        self._delivery: Delivery | None = None
        self._turn = Turn()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._asleep = False
        self._helped = False
        self._starting = threading.Lock()  # taken once, by the one who starts
        self._orphaned = False
        self._releases: list[Callable[[], None]] = []
        self._cancel_at_end: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None

    # The caller's side: none of this waits.

    def attend(self, now: float) -> None:
        """See to it that the queue is emptied: called for the first record after `due`.

        Args:
            now: the time, in seconds since 1970.
        """
        self.due = now + pace.PATIENCE
        if self._delivery is None:
            self._start()
        elif self._asleep:
            self._wake()
        else:
            # Until the thread shows itself, every record comes here: after the last one nobody else would.
            self.due = now
            self.help()

    def help(self) -> None:
        """Do a share of the thread's work, unless somebody is at it."""
        turn = self._turn
        if not turn.lock.acquire(blocking=False):
            turn.look()
            return
        try:
            turn.at_work = True
            turn.idle_since = 0.0
            self._helped = True
            self._pump(pace.HELP)
        finally:
            turn.at_work = False
            turn.lock.release()

    def refuse(self, level: str) -> None:
        """Count a record for which there is no room."""
        self._losses.refuse("closed" if self._closed else QUEUE_FULL, level)
        if (
            self._losses.refused > pace.REFUSED_MOST or time.time() > self.due
        ):  # the thread does not count them
            self.help()

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # another thread is at it, or this one, which a signal has interrupted
        try:
            self._delivery = Delivery(self._settings, self._policy, self._make_encoder(), self._losses)
        finally:
            if self._delivery is None:  # a signal handler has raised: the next caller does it
                self._starting.release()
        self._delivery.wake = self._wake
        self._cancel_at_end = lifetime.close_at_process_end(self)
        self._thread = threading.Thread(target=self._run, name="message-passing-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending: callers and close() do it all
            self._thread = None

    def _wake(self) -> None:
        self._asleep = False
        with contextlib.suppress(RuntimeError):  # somebody else has rung
            self._bell.release()

    # The thread's side

    def _run(self) -> None:
        idle = waiting = left = 0
        while not self._closed:
            if self._orphaned:
                self.close()
                break
            self.due = time.time() + pace.PATIENCE
            if not (moved := self._in_burst(left)):
                moved, waiting = self._empty()
            left = len(self.queue)
            self._report.tell(self._losses.dropped, self.failed, self._possibly_lost())
            idle = 0 if moved or waiting else idle + 1
            if idle > pace.IDLE_TICKS:
                self._sleep()
                idle = 0
            else:
                time.sleep(pace.SLOW_TICK if waiting and not moved else pace.TICK)
        self._release()
        self._report.tell(self._losses.dropped, self.failed, self._possibly_lost(), last=True)

    def _possibly_lost(self) -> dict[str, int]:
        return self._delivery.possibly_lost() if self._delivery else {}

    def _in_burst(self, left: int) -> bool:
        """Whether callers log so much that they need no turns of ours; when it gets crowded, they help.

        Args:
            left: how many records there were at the end of the last look.
        """
        helped, self._helped = self._helped, False
        grown = len(self.queue) - left
        return helped or (grown > pace.BURST and left + grown <= self.crowded)

    def _empty(self) -> tuple[bool, int]:
        """Deliver what is in the queue; whether anything moved, and how many records wait for a receiver."""
        moved, waiting, queued = False, 0, len(self.queue)
        while True:  # in bites, so that a caller that wants to help need not wait for its turn long
            self.due = time.time() + pace.PATIENCE
            self._turn.lock.acquire()
            moved = self._work(pace.BITE) or moved
            waiting = self._delivery.waiting if self._delivery else 0
            if not self.queue or self._closed or len(self.queue) > queued:
                return moved, waiting

    def _sleep(self) -> None:
        self._asleep = True
        self.due = 0.0  # the next record rings
        if self.queue or self._closed or self._orphaned or not self._bell.acquire(timeout=pace.PEERS):
            self._asleep = False

    def _work(self, most: int) -> bool:
        """Deliver what is in the queue. Whose turn it is may call it, once; whether anything moved."""
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            return self._pump(most)
        finally:
            self._turn.at_work = False
            self._turn.lock.release()

    def _pump(self, most: int) -> bool:
        self._losses.count_refused()
        if self._delivery is None or self._closed:
            return False
        return self._delivery.deliver(self.queue, most)

    # The end

    def flush(self) -> None:
        """Send what can be sent now, without waiting for a receiver."""
        if self._turn.take(self._settings.linger / 1000):
            self._work(pace.ALL)

    def close(self) -> None:
        """Send what is left, within `linger`; count what could not be sent."""
        if self._closed:
            return
        deadline = time.monotonic() + self._settings.linger / 1000
        if not self._turn.take(self._settings.linger / 1000):
            return  # a signal handler interrupted the very thread that sends: nothing can be done here
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            if self._delivery and not self._closed:  # another thread may have closed meanwhile
                self._releases.append(self._delivery.finish(self.queue, deadline))
            self._closed = True
            self.limit = -1
        finally:
            self._turn.at_work = False
            self._turn.lock.release()
        if self._cancel_at_end:
            self._cancel_at_end()
        lifetime.forget_orphan(self)
        self._wake()
        thread = self._thread
        if thread and thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()) + pace.GRACE)
        else:
            self._release()

    def _release(self) -> None:
        """Close the socket: the thread's part, since it may take long and no thread can be started at exit."""
        with contextlib.suppress(IndexError):
            self._releases.pop()()

    def orphan(self) -> None:
        """The handler is gone without `close`: the thread closes, since who collects garbage must not wait."""
        if self._thread and self._thread.is_alive():
            self._orphaned = True
            lifetime.keep_orphan(self)
            self._wake()
        else:
            self.close()

    def stats(self) -> dict[str, Any]:
        """Counters, in records: see `ZeroMQHandler.stats`."""
        if self._turn.take(0.1):
            try:
                self._turn.at_work = True
                self._turn.idle_since = 0.0
                self._losses.count_refused()
            finally:
                self._turn.at_work = False
                self._turn.lock.release()
        delivery = self._delivery
        return {
            "sent": delivery.sent if delivery else 0,
            "queued": len(self.queue) + (delivery.waiting if delivery else 0),
            "dropped": dict(self._losses.dropped),
            "failed": self.failed,
            **({"possibly_lost": possibly} if (possibly := self._possibly_lost()) else {}),
        }

    def start_again_in_child(self) -> None:
        """After a fork: what was queued is the parent's to send."""
        if self._delivery:
            self._delivery.abandon()
        self._begin()
        if self._closed:
            self.limit = -1
