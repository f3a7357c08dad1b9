"""The path from a log call to the socket: a queue that any thread appends to, until it is closed.

The caller's part is one append; what empties the queue is described in `queue_worker`.

A forked child starts anew: its queue, counters, thread and socket are its own.

`close` is not the end: logging closes all handlers whenever it is configured, though loggers may go on using them.
The next record opens everything again. Each opening has a thread of its own, which ends when another one is the
worker's.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.logging import process_hooks, tuning
from message_passing.logging.backlog import share
from message_passing.logging.encoders import own, senders
from message_passing.logging.eviction import Eviction
from message_passing.logging.flushing import Flush
from message_passing.logging.intake import Load
from message_passing.logging.losses import HANDLER_CLOSED, Losses, Report
from message_passing.logging.queue_worker import QueueWorker
from message_passing.logging.snapshot import WEIGHT, level_of_item
from message_passing.logging.stderr import say
from message_passing.logging.transmitter import Transmitter
from message_passing.zeromq.sending import QUEUE_FULL, UNSENT

if TYPE_CHECKING:
    import logging
    import weakref
    from collections.abc import Callable, Iterator

    from message_passing.logging.backlog import Policy
    from message_passing.logging.delivery_thread import DeliveryThread
    from message_passing.logging.encoders import Encoders
    from message_passing.logging.entry import Entry
    from message_passing.logging.record_socket import SocketMaker
    from message_passing.logging.snapshot import Snapshotted
    from message_passing.zeromq.settings import SocketSettings


class Shipper:
    """The queue of one handler, from its first record to the end.

    Attributes:
        queue: what callers have appended.
        limit: records that may be there; with more, and always if it is negative, `append` decides.
        since: a record that is older wants `attend`; times are those of records.
        due: so does one that is later: the worker does not show itself.
        crowded: with more records in the queue, callers help.
        eviction: makes room for a record that is preferred to one that is there.
        worker: who empties it.
    """

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        make_encoders: Callable[[Shipper], Encoders],
        queue_bytes: int,
        report_interval: float | None,
        *,
        make_socket: SocketMaker,
        numbered: bool,
    ) -> None:
        """Prepare; nothing is opened and no thread is started before the first record.

        Args:
            settings: the socket's; its high-water mark bounds what waits here.
            policy: what goes when there is too much.
            make_encoders: makes the functions that encode a record, in this process.
            queue_bytes: how many bytes of them may wait, in the queue, encoded, and in ZeroMQ; 0 for no bound.
            report_interval: see `Report`; with 0 nothing else is written on stderr either.
            make_socket: makes what sends them.
            numbered: whether records are given sequence numbers.
        """
        self._report_interval = report_interval
        self._settings = settings
        self._policy = policy
        self._make_encoders = make_encoders
        self._make_socket = make_socket
        self._queue_bytes = queue_bytes
        self._numbered = numbered
        self.closed = self.ended = self._forked = False
        self._ended_by = 0.0  # when records that are logged after the end are not sent any more
        self.owner: weakref.ref[logging.Handler] | None = None
        self._begin()
        process_hooks.register(self)

    def _begin(self) -> None:
        self.queue: deque[Entry | Snapshotted] = deque()
        bounds = self._settings.hwm, share(self._queue_bytes, WEIGHT)
        self._most: float = min((bound for bound in bounds if bound), default=float("inf"))
        self.limit = self._most  # a negative one sends all records to `append`
        self.since = self.due = 0.0
        self.crowded = min(tuning.HELP_ABOVE, self._most * 0.8, self._most - 2)
        self._load = Load()
        self._load_limit: float = share(self._queue_bytes * 3, 4) or float("inf")
        self._report = Report(self._report_interval)
        self._losses = Losses()
        self.eviction = Eviction(self._policy, self.queue, self._losses, self._load)
        self.worker = QueueWorker(self, self._make_transmitter)
        self._within: int | None = None
        self._cancel_at_end: Callable[[], object] | None = None

    def _make_transmitter(self) -> Transmitter:
        self._cancel_at_end = process_hooks.close_at_process_end(self)
        return Transmitter(
            self._settings,
            self._policy,
            self._make_encoders(self),
            self._losses,
            self._load,
            make_socket=self._make_socket,
            most=self._queue_bytes,
            numbered=self._numbered,
            forked=self._forked,
        )

    # The caller's side: none of this waits, and nothing is raised but what a signal handler raises.

    def admit(self, entry: Entry, weight: int) -> bool:
        """Whether there is room in the queue for the bytes of a long record: a share of the work is done for it."""
        entry.weight = weight
        if self._no_room(weight):
            self.worker.help(tuning.HELP_LONG)
            if self._no_room(weight):
                return False
        self._load.put += weight
        return True

    def _no_room(self, weight: int) -> bool:
        transmitter = self.worker.transmitter
        kept = transmitter.bytes_waiting if transmitter else 0
        return self._load.waiting + kept + weight > self._load_limit

    def append(self, item: Entry | Snapshotted) -> bool:
        """Take a record that the hot path does not, since the queue is full or closed; whether that can be done."""
        if self._within == threading.get_ident():
            if room := len(self.queue) < self._most:
                self.queue.append(own(item))
            return room
        if self.ended and (sys.is_finalizing() or threading.current_thread() is not threading.main_thread()):
            return False  # other threads are about to be stopped at any point
        closed = self.closed
        if closed and not self._reopen():
            return False
        if len(self.queue) >= self._most and not self._make_room(item):
            return False
        self.queue.append(item)
        if not self.ended and self._within is None:
            self.limit = self._most  # whoever set it may have been interrupted
        if self.ended and closed:
            self.worker.start()
            self.close()  # at once: nobody else will
        else:
            self.worker.attend()
        return True

    def _make_room(self, item: Entry | Snapshotted) -> bool:
        """Whether there is room, since others were taken off the queue, or one gave way as `policy` says."""
        self.worker.help()
        return len(self.queue) < self._most or self.eviction.make_room(item, self.worker.taken())

    def _reopen(self) -> bool:
        """Open again, for a record that was logged after `close`; whether that can be done.

        After the end of the interpreter has begun, that is for as long as `linger` in all.
        """
        if self.ended:
            self._ended_by = self._ended_by or monotonic() + self._settings.linger / 1000
            if monotonic() > self._ended_by:
                return False
        self.worker.forget_thread()
        self.since = self.due = 0.0
        self.closed = False
        self.limit = self._most
        if self.owner:
            process_hooks.have_logging_close(self.owner)
        if self.worker.transmitter:
            self._cancel_at_end = process_hooks.close_at_process_end(self)
        return True

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """While a function of the user's runs, whose own records must not come to it again. In one's turn."""
        self._within, self.limit = threading.get_ident(), -1
        try:
            yield
        finally:
            self._within = None
            self.limit = -1 if self.closed else self._most

    def refuse(self, level: str, *, weight: int = 0) -> None:
        """Count a record for which there is no room, which may have been admitted."""
        self._load.taken += weight
        reason = UNSENT if self.closed else QUEUE_FULL
        if self.ended and threading.current_thread() is not threading.main_thread():
            reason = HANDLER_CLOSED
        self._losses.refuse(reason, level)
        if not self.closed and not self.worker.thread_works():
            self.worker.attend()

    def fail(self) -> None:
        """Count a record of which nothing could be captured."""
        self._losses.fail()

    # For the thread

    def needs(self, thread: DeliveryThread) -> bool:
        """Whether this thread is to go on."""
        return self.worker.thread is thread and not self.closed

    def is_orphaned(self) -> bool:
        """Whether the handler has been garbage-collected, so that nothing can close it."""
        return self.owner is not None and self.owner() is None

    def tell(self, *, last: bool = False) -> None:
        """Write pending reports to stderr. Not while holding the lock: its reader may be slow."""
        transmitter = self.worker.transmitter
        for text in transmitter.notices(last=last) if transmitter else ():
            if self._report_interval != 0:
                say(text)
        self._report.tell(self._losses, self.worker.possibly_lost(), last=last)

    def lost(self) -> int:
        """How many records were lost so far."""
        return self._losses.dropped.total() + self._losses.failed

    # The end

    def flush(self, timeout: float) -> bool:
        """Send what waits, and wait until it has left; whether it has: see `ZeroMQHandler.flush`."""
        if self.worker.lock.mine():
            return False  # in a user's function, or a signal handler: what is sent waits for this very call
        return Flush(self, self.worker).wait(timeout, self._settings.linger / 1000 + tuning.GRACE)

    def close(self, begun: float | None = None) -> None:
        """Send what is left, within `linger`; count what could not be sent.

        Args:
            begun: since when that is counted, by `clock.monotonic`. Default: now.
        """
        if self._within == threading.get_ident():
            return
        if self.closed and not self.queue:
            self.worker.release()  # who closed may have been interrupted
            return
        deadline = (begun or monotonic()) + self._settings.linger / 1000
        if self._ended_by:
            deadline = min(deadline, self._ended_by)
        thread, cancel = self.worker.thread, self._cancel_at_end
        late = self.worker.lock.run(
            lambda: self._finish(deadline), wait=self._settings.linger / 1000 + tuning.AT_WORK
        )
        if late is None:
            # A signal handler interrupted the very thread that sends, or a function of the user's does not return.
            if self._report_interval != 0:
                say(
                    f"log handler: not closed: {len(self.queue)} or more "
                    "records are waiting behind one that is being sent"
                )
            return
        if cancel:
            cancel()
        process_hooks.forget_orphan(self)
        if late and self.queue and self._reopen():  # other threads have logged meanwhile
            self.worker.attend()
        if thread is None or not thread.is_alive() or thread.is_current():
            self.worker.release()
            self.tell(last=True)
        elif not thread.end(max(0.0, deadline - monotonic()) + tuning.GRACE):
            self.tell(last=True)

    def _finish(self, deadline: float) -> bool:
        """Send what is left and close; whether what is in the queue now was logged meanwhile, and is to be sent."""
        late = False
        self.ended = process_hooks.is_ending()
        if self.ended:
            self.limit = -1
        transmitter = self.worker.transmitter
        if transmitter and (self.queue or not self.closed):  # another thread may have closed meanwhile
            with contextlib.suppress(Exception):
                transmitter.finish(self.queue, deadline)
                late = not self.ended
        self._cancel_at_end = None
        self.limit = -1  # before the other: who sees that sets it to another value
        self.closed = True
        while self.queue and not late:  # it could not begin at all, or there is nobody who would send it
            self._losses.refuse(UNSENT, level_of_item(self.queue.popleft())[1])
        return late

    def prepare_for_exit(self) -> None:
        """Have logging close the handler, unless nothing is left to do."""
        if self.owner and (self.queue or not self.closed):
            process_hooks.have_logging_close(self.owner)

    def orphan(self) -> None:
        """The handler is gone without `close`: the thread closes, since who collects garbage must not wait."""
        if self.closed and not self.queue:
            return
        thread = self.worker.thread
        if thread and thread.is_alive():
            process_hooks.keep_orphan(self)
            thread.ring()
        else:
            self.close()

    def stats(self) -> dict[str, Any]:
        """Counters, in records: see `ZeroMQHandler.stats`."""
        # Where somebody sends all the time, a record that is on its way may be missing.
        return self.worker.lock.run(self._stats, wait=0.1) or self._stats()

    def _stats(self) -> dict[str, Any]:
        transmitter = self.worker.transmitter
        counts = transmitter.socket.counts() if transmitter else {"sent": 0, "queued": 0}
        counts["queued"] += len(self.queue) + (transmitter.waiting if transmitter else 0)
        return {
            **counts,
            "dropped": dict(self._losses.dropped),
            "failed": self._losses.failed,
            **({"possibly_lost": possibly} if (possibly := self.worker.possibly_lost()) else {}),
        }

    def start_again_in_child(self) -> None:
        """After a fork: what was queued is the parent's to send."""
        if self.worker.transmitter:
            self.worker.transmitter.socket.abandon()
        self._forked = True
        senders.clear()
        self._begin()
        if self.closed:
            self.limit = -1
