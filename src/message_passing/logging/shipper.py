"""The road from a log call to the socket: a queue that anybody appends to, and a thread that empties it.

The caller's part is one append. A thread takes what is there every few milliseconds, encodes it, and gives
it to the sender, because waking somebody for each record is what costs an application most. It sleeps when
nothing is logged. Where that thread falls behind, or does not run at all (uWSGI without threads, the end
of the interpreter), callers do a small share of its work: nobody waits for anybody, since whoever does not
get the lock at once goes on.

While that thread runs, the main thread calls nothing of pyzmq for its share: a signal handler may raise there between
any two steps, also within pyzmq, which then forgets the message that it has just received, such as a subscription.
What it does is encode, and send by a call that nothing interrupts (`direct`); hearing is the thread's part.

A forked child starts anew: its queue, counters, thread and socket are its own.

`close` is not the end: logging closes all handlers whenever it is configured, though loggers may go on using them.
The next record opens everything again. Each opening has a thread of its own, which ends when it is not `_thread` any
more.

Who works has the `_delivery_lock`: the thread, a caller that helps, `close`, and `flush` and `stats` for as long as
they look.
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
from message_passing.logging.delivery_thread import DeliveryThread
from message_passing.logging.encoders import own, senders
from message_passing.logging.eviction import Eviction
from message_passing.logging.flushing import Flush
from message_passing.logging.intake import Load
from message_passing.logging.losses import CLOSED, Losses, Report
from message_passing.logging.signal_safe_lock import SignalSafeLock
from message_passing.logging.snapshot import WEIGHT, level_of_item
from message_passing.logging.stderr import say
from message_passing.logging.transmitter import Transmitter
from message_passing.zeromq.sending import QUEUE_FULL, UNSENT

if TYPE_CHECKING:
    import logging
    import weakref
    from collections.abc import Callable, Iterator

    from message_passing.logging.backlog import Policy
    from message_passing.logging.encoders import Encoders
    from message_passing.logging.entry import Entry
    from message_passing.logging.snapshot import Snapshotted
    from message_passing.zeromq.settings import SocketSettings


class Shipper:
    """Queue and thread of one handler. The public attributes are for the handler's hot path."""

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        make_encoders: Callable[[Shipper], Encoders],
        queue_bytes: int,
        report_interval: float | None,
        *,
        numbered: bool,
    ) -> None:
        """Prepare; nothing is opened and no thread is started before the first record.

        Args:
            settings: the socket's; its high-water mark bounds what waits here.
            policy: what goes when there is too much.
            make_encoders: makes the functions that encode a record, in this process.
            queue_bytes: how many bytes of them may wait, in the queue, encoded, and in ZeroMQ; 0 for no bound.
            report_interval: see `Report`; with 0 nothing else is written on stderr either.
            numbered: whether records are given sequence numbers.
        """
        self._report_interval = report_interval
        self._settings = settings
        self._policy = policy
        self._make_encoders = make_encoders
        self._queue_bytes = queue_bytes
        self._numbered = numbered
        self._closed = self._ended = self._forked = False
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
        self._transmitter: Transmitter | None = None
        self._delivery_lock = SignalSafeLock()
        self._within: int | None = None
        self._cancel_at_end: Callable[[], object] | None = None
        self._thread: DeliveryThread | None = None
        self._thread_after = 0.0

    # The caller's side: none of this waits, and nothing is raised but what a signal handler raises.

    def attend(self) -> None:
        """See to it that the queue is emptied: called for a record whose time is not between `since` and `due`."""
        try:
            thread = self._thread
            if thread is None or self._transmitter is None:
                self._start()
                if self._thread is None:
                    self.help()
            elif not (not self.due and thread.wake()) and not thread.shows_itself():
                # Until the thread shows itself, every record comes here: after the last one nobody else would.
                if not thread.is_alive():
                    self._start()
                self.help()
        except Exception:  # noqa: BLE001, S110 - the record is in the queue, and the next one comes here again
            pass

    def help(self, most: int = tuning.HELP_RECORDS) -> None:
        """Do a share of the thread's work, so many records, unless somebody is at it."""
        with contextlib.suppress(Exception):  # a log call does not fail for other records
            self._delivery_lock.run(lambda: self._pump(most, quiet=self._left_to_thread()))

    def _left_to_thread(self) -> bool:
        """Whether this is the main thread, where a signal handler may raise, and ours is at work."""
        return self._thread_works() and threading.current_thread() is threading.main_thread()

    def _thread_works(self) -> bool:
        return self._thread is not None and not self._closed and self._thread.shows_itself()

    def admit(self, entry: Entry, weight: int) -> bool:
        """Whether there is room in the queue for the bytes of a long record: a share of the work is done for it."""
        entry.weight = weight
        if self._no_room(weight):
            self.help(tuning.HELP_LONG)
            if self._no_room(weight):
                return False
        self._load.put += weight
        return True

    def _no_room(self, weight: int) -> bool:
        kept = self._transmitter.bytes_waiting if self._transmitter else 0
        return self._load.waiting + kept + weight > self._load_limit

    def append(self, item: Entry | Snapshotted) -> bool:
        """Take a record that the hot path does not, since the queue is full or closed; whether that can be done."""
        if self._within == threading.get_ident():
            if room := len(self.queue) < self._most:
                self.queue.append(own(item))
            return room
        if self._ended and (sys.is_finalizing() or threading.current_thread() is not threading.main_thread()):
            return False  # other threads are about to be stopped at any point
        closed = self._closed
        if closed and not self._reopen():
            return False
        if len(self.queue) >= self._most and not self._make_room(item):
            return False
        self.queue.append(item)
        if not self._ended and self._within is None:
            self.limit = self._most  # whoever set it may have been interrupted
        if self._ended and closed:
            self._start()
            self.close()  # at once: nobody else will
        else:
            self.attend()
        return True

    def _make_room(self, item: Entry | Snapshotted) -> bool:
        """Whether there is room, since others were taken off the queue, or one gave way as `policy` says."""
        self.help()
        return len(self.queue) < self._most or self.eviction.make_room(item, self.taken())

    def _reopen(self) -> bool:
        """Open again, for a record that was logged after `close`; whether that can be done.

        After the end of the interpreter has begun, that is for as long as `linger` in all.
        """
        if self._ended:
            self._ended_by = self._ended_by or monotonic() + self._settings.linger / 1000
            if monotonic() > self._ended_by:
                return False
        self._thread = None
        self._thread_after = self.since = self.due = 0.0
        self._closed = False
        self.limit = self._most
        if self.owner:
            process_hooks.have_logging_close(self.owner)
        if self._transmitter:
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
            self.limit = -1 if self._closed else self._most

    def refuse(self, level: str, *, weight: int = 0) -> None:
        """Count a record for which there is no room, which may have been admitted."""
        self._load.taken += weight
        reason = UNSENT if self._closed else QUEUE_FULL
        if self._ended and threading.current_thread() is not threading.main_thread():
            reason = CLOSED
        self._losses.refuse(reason, level)
        thread = self._thread
        if not self._closed and (thread is None or monotonic() > thread.seen):  # it does nothing
            self.attend()

    def fail(self) -> None:
        """Count a record of which nothing could be taken."""
        self._losses.fail()

    def _start(self) -> None:
        """Make what is missing, and start the thread, unless somebody is at it.

        Where no thread can be had callers and `close` do it all, and it is tried again now and then.
        """
        thread = self._delivery_lock.run(self._make)
        if isinstance(thread, DeliveryThread):  # not in our turn: the thread's first step is to have it
            try:
                thread.start()
            except RuntimeError:
                self._thread = None

    def _make(self) -> DeliveryThread | bool:
        """In our turn: what is missing is there then; the thread, if it is to be started."""
        if self._transmitter is None:
            self._transmitter = Transmitter(
                self._settings,
                self._policy,
                self._make_encoders(self),
                self._losses,
                self._load,
                most=self._queue_bytes,
                numbered=self._numbered,
                forked=self._forked,
            )
            self._transmitter.socket.wake = self._wake
            self._cancel_at_end = process_hooks.close_at_process_end(self)
        now = monotonic()
        if now < self._thread_after or self._ended or (self._thread and self._thread.is_alive()):
            return False
        self._thread_after = now + tuning.THREAD_RETRY
        self._thread = DeliveryThread(self)
        return self._thread

    def _wake(self) -> None:
        if self._thread:
            self._thread.ring()

    # For the thread

    def needs(self, thread: DeliveryThread) -> bool:
        """Whether this thread is to go on."""
        return self._thread is thread and not self._closed

    def is_orphaned(self) -> bool:
        """Whether nobody has the handler any more, who could close it."""
        return self.owner is not None and self.owner() is None

    def work(self, most: int) -> tuple[bool, int] | None:
        """Deliver so many records, in our turn; whether anything moved, and how many wait for a receiver."""
        return self._delivery_lock.run(lambda: self._deliver(most), wait=-1)

    def _deliver(self, most: int) -> tuple[bool, int]:
        moved = self._pump(most)
        if self._transmitter is None:
            return moved, 0
        self._transmitter.look_whether_stuck()
        return moved, self._transmitter.waiting

    def taken(self) -> int:
        """How many records anybody has taken off the queue."""
        return self._transmitter.taken if self._transmitter else 0

    def tell(self, *, last: bool = False) -> None:
        """Write on stderr what there is to say. Not while it is our turn: whoever reads it may be slow."""
        for text in self._transmitter.notices(last=last) if self._transmitter else ():
            if self._report_interval != 0:
                say(text)
        self._report.tell(self._losses, self._possibly_lost(), last=last)

    def release(self) -> None:
        """Close the socket of an opening that is over: the thread's part where there is one, as it may take long."""
        if self._transmitter:
            self._transmitter.socket.release()

    def _possibly_lost(self) -> dict[str, int]:
        return self._transmitter.socket.possibly_lost() if self._transmitter else {}

    def _lost(self) -> int:
        return self._losses.dropped.total() + self._losses.failed

    def _pump(self, most: int, *, quiet: bool = False) -> bool:
        """Deliver what is in the queue, in our turn; whether anything moved."""
        if self._transmitter is None or self._closed:
            return False
        return self._transmitter.deliver(self.queue, most, quiet=quiet)

    # The end

    def flush(self, timeout: float) -> bool:
        """Send what waits, and wait until it has left; whether it has: see `ZeroMQHandler.flush`."""
        if self._delivery_lock.mine():
            return (
                False  # a user's function, or a signal handler: what is being sent waits for this very call
            )
        flush = Flush(monotonic() + timeout, self._lost())
        patience = flush.over + self._settings.linger / 1000 + tuning.GRACE
        pause, resting = 0.0, threading.Lock()
        resting.acquire()
        while True:
            if self._thread_works() and self._thread:
                self._thread.hurry(begins=not pause)
            else:
                with contextlib.suppress(Exception):  # the records are where they were
                    self._delivery_lock.run(
                        lambda: self._pump(tuning.ALL), wait=max(0.0, patience - monotonic())
                    )
            left = self._delivery_lock.run(lambda: self._judge(flush), wait=max(0.0, patience - monotonic()))
            now = monotonic()
            if left or now >= patience or (flush.tried and now >= flush.over):
                return bool(left) and self._lost() == flush.lost
            pause = min(2 * pause or tuning.FIRST_LOOK, tuning.TICK)
            resting.acquire(timeout=pause)  # not time.sleep, which tests replace

    def _judge(self, flush: Flush) -> bool:
        """Whether all has left, in our turn."""
        delivery = self._transmitter
        if delivery is None or self._closed:
            flush.tried = True
            return not self.queue and (delivery is None or delivery.has_left(flush))
        if flush.taken is None:
            flush.taken = delivery.taken + len(self.queue)
        flush.tried = not self.queue or delivery.taken >= flush.taken
        return flush.tried and delivery.has_left(flush)

    def close(self, begun: float | None = None) -> None:
        """Send what is left, within `linger`; count what could not be sent.

        Args:
            begun: since when that is counted, by `clock.monotonic`. Default: now.
        """
        if self._within == threading.get_ident():
            return
        if self._closed and not self.queue:
            self.release()  # who closed may have been interrupted
            return
        deadline = (begun or monotonic()) + self._settings.linger / 1000
        if self._ended_by:
            deadline = min(deadline, self._ended_by)
        thread, cancel = self._thread, self._cancel_at_end
        late = self._delivery_lock.run(
            lambda: self._finish(deadline), wait=self._settings.linger / 1000 + tuning.AT_WORK
        )
        if late is None:
            # A signal handler interrupted the very thread that sends, or a function of the user's does not return.
            if self._report_interval != 0:
                say(
                    f"log handler: {len(self.queue)} records and more wait behind one that is being sent: not closed"
                )
            return
        if cancel:
            cancel()
        process_hooks.forget_orphan(self)
        if late and self.queue and self._reopen():  # other threads have logged meanwhile
            self.attend()
        if thread is None or not thread.is_alive() or thread.is_current():
            self.release()
            self.tell(last=True)
        elif not thread.end(max(0.0, deadline - monotonic()) + tuning.GRACE):
            self.tell(last=True)

    def _finish(self, deadline: float) -> bool:
        """Send what is left and close; whether what is in the queue now was logged meanwhile, and is to be sent."""
        late = False
        self._ended = process_hooks.is_ending()
        if self._ended:
            self.limit = -1
        if self._transmitter and (self.queue or not self._closed):  # another thread may have closed meanwhile
            with contextlib.suppress(Exception):
                self._transmitter.finish(self.queue, deadline)
                late = not self._ended
        self._cancel_at_end = None
        self.limit = -1  # before the other: who sees that sets it to another value
        self._closed = True
        while self.queue and not late:  # it could not begin at all, or there is nobody who would send it
            self._losses.refuse(UNSENT, level_of_item(self.queue.popleft())[1])
        return late

    def prepare_for_exit(self) -> None:
        """Have logging close the handler, unless nothing is left to do."""
        if self.owner and (self.queue or not self._closed):
            process_hooks.have_logging_close(self.owner)

    def orphan(self) -> None:
        """The handler is gone without `close`: the thread closes, since who collects garbage must not wait."""
        if self._closed and not self.queue:
            return
        if self._thread and self._thread.is_alive():
            process_hooks.keep_orphan(self)
            self._thread.ring()
        else:
            self.close()

    def stats(self) -> dict[str, Any]:
        """Counters, in records: see `ZeroMQHandler.stats`."""
        # Where somebody sends all the time, a record that is on its way may be missing.
        return self._delivery_lock.run(self._stats, wait=0.1) or self._stats()

    def _stats(self) -> dict[str, Any]:
        delivery = self._transmitter
        return {
            "sent": delivery.sent if delivery else 0,
            "queued": len(self.queue) + (delivery.waiting if delivery else 0),
            "dropped": dict(self._losses.dropped),
            "failed": self._losses.failed,
            **({"possibly_lost": possibly} if (possibly := self._possibly_lost()) else {}),
        }

    def start_again_in_child(self) -> None:
        """After a fork: what was queued is the parent's to send."""
        if self._transmitter:
            self._transmitter.socket.abandon()
        self._forked = True
        senders.clear()
        self._begin()
        if self._closed:
            self.limit = -1
