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
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic, wall
from message_passing.logging import lifetime, pace
from message_passing.logging.backlog import share
from message_passing.logging.delivery import Delivery
from message_passing.logging.encoders import own, senders
from message_passing.logging.flushing import Flush
from message_passing.logging.intake import Load
from message_passing.logging.losses import CLOSED, Losses, Report
from message_passing.logging.stderr import say
from message_passing.logging.taken import WEIGHT, level_of
from message_passing.logging.turn import RECOVERY, Turn
from message_passing.zeromq.sending import QUEUE_FULL, UNSENT

if TYPE_CHECKING:
    import logging
    import weakref
    from collections.abc import Callable, Iterator

    from message_passing.logging.backlog import Policy
    from message_passing.logging.encoders import Encoders
    from message_passing.logging.entry import Entry
    from message_passing.logging.taken import Taken
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
        lifetime.register(self)

    def _begin(self) -> None:
        self.queue: deque[Entry | Taken] = deque()
        bounds = self._settings.hwm, share(self._queue_bytes, WEIGHT)
        self._most: float = min((bound for bound in bounds if bound), default=float("inf"))
        self.limit = self._most  # a negative one sends all records to `append`
        self.since = self.due = 0.0
        self.crowded = min(pace.HELP_ABOVE, self._most * 0.8, self._most - 2)
        self._load = Load()
        self._load_limit: float = share(self._queue_bytes * 3, 4) or float("inf")
        self._seen = 0.0
        self._report = Report(self._report_interval)
        self._losses = Losses()
        self._delivery: Delivery | None = None
        self._turn = Turn()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._asleep = False
        self._helped = False
        self._heard = 0.0
        self._flushes: deque[Flush] = deque()
        self._starting = threading.Lock()  # taken once, by the one who starts
        self._orphaned = False
        self._within: int | None = None
        self._cancel_at_end: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None
        self._thread_after = 0.0

    # The caller's side: none of this waits, and nothing is raised but what a signal handler raises.

    def attend(self) -> None:
        """See to it that the queue is emptied: called for a record whose time is not between `since` and `due`."""
        try:
            if self._delivery is None:
                self._start()
                if self._thread is None:
                    self.help()
            elif self._asleep:
                self._seen = monotonic() + pace.PATIENCE  # so long it may take to wake
                self._wake()
            elif monotonic() > self._seen:
                # Until the thread shows itself, every record comes here: after the last one nobody else would.
                if self._thread is None:
                    self._start_thread()
                self.help()
        except Exception:  # noqa: BLE001, S110 - the record is in the queue, and the next one comes here again
            pass

    def help(self, most: int = pace.HELP) -> None:
        """Do a share of the thread's work, so many records, unless somebody is at it."""
        turn = self._turn
        if not turn.lock.acquire(blocking=False):
            turn.look()
            return
        try:
            turn.at_work = True
            turn.idle_since = 0.0
            self._helped = True
            self._pump(most, quiet=self._left_to_thread())
        except Exception:  # noqa: BLE001 - a log call does not fail for other records
            self._helped = False
        finally:
            turn.at_work = False
            turn.lock.release()

    def _left_to_thread(self) -> bool:
        """Whether this is the main thread, where a signal handler may raise, and ours is at work."""
        runs = self._thread is not None and not self._closed and monotonic() <= self._seen
        return runs and threading.current_thread() is threading.main_thread()

    def admit(self, entry: Entry, weight: int) -> bool:
        """Whether there is room in the queue for the bytes of a long record: a share of the work is done for it."""
        entry.weight = weight
        if self._no_room(weight):
            self.help(pace.HELP_LONG)
            if self._no_room(weight):
                return False
        self._load.put += weight
        return True

    def _no_room(self, weight: int) -> bool:
        kept = self._delivery.bytes_waiting if self._delivery else 0
        return self._load.waiting + kept + weight > self._load_limit

    def append(self, item: Entry | Taken) -> bool:
        """Take a record that the hot path does not, since the queue is full or closed; whether that can be done."""
        if self._within == threading.get_ident():
            if room := len(self.queue) < self._most:
                self.queue.append(own(item))
            return room
        if self._ended and (sys.is_finalizing() or threading.current_thread() is not threading.main_thread()):
            return False  # other threads are about to be stopped at any point
        closed = self._closed
        if (closed and not self._reopen()) or len(self.queue) >= self._most:
            return False
        self.queue.append(item)
        if not self._ended and self._within is None:
            self.limit = self._most  # whoever set it may have been interrupted
        if self._ended and closed:
            if self._delivery is None:
                self._start()
            self.close()  # at once: nobody else will
        else:
            self.attend()
        return True

    def _reopen(self) -> bool:
        """Open again, for a record that was logged after `close`; whether that can be done.

        After the end of the interpreter has begun, that is for as long as `linger` in all.
        """
        if self._ended:
            self._ended_by = self._ended_by or monotonic() + self._settings.linger / 1000
            if monotonic() > self._ended_by:
                return False
        self._thread, self._bell = None, threading.Lock()
        self._bell.acquire()
        self._thread_after = self._seen = self.since = self.due = 0.0
        self._asleep = self._closed = False
        self.limit = self._most
        if self.owner:
            lifetime.have_logging_close(self.owner)
        if self._delivery:
            self._cancel_at_end = lifetime.close_at_process_end(self)
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
        if not self._closed and monotonic() > self._seen:  # the thread does nothing
            self.attend()

    def fail(self) -> None:
        """Count a record of which nothing could be taken."""
        self._losses.fail()

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # another thread is at it, or this one, which a signal has interrupted
        try:
            self._delivery = Delivery(
                self._settings,
                self._policy,
                self._make_encoders(self),
                self._losses,
                self._load,
                most=self._queue_bytes,
                numbered=self._numbered,
                forked=self._forked,
            )
        finally:
            if self._delivery is None:  # a signal handler has raised: the next caller does it
                self._starting.release()
        self._delivery.wake = self._wake
        self._cancel_at_end = lifetime.close_at_process_end(self)
        self._start_thread()

    def _start_thread(self) -> None:
        """Start it; where none can be had callers and `close` do it all, and it is tried again now and then."""
        now = monotonic()
        if now < self._thread_after or self._ended:
            return
        self._thread_after = now + pace.THREAD_RETRY
        self._seen = now + pace.PATIENCE
        thread = threading.Thread(target=self._run, name="message-passing-log", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or the system gives no more
            self._thread = None
            self._seen = 0.0

    def _wake(self) -> None:
        self._asleep = False
        with contextlib.suppress(RuntimeError):  # somebody else has rung
            self._bell.release()

    # The thread's side

    def _run(self) -> None:
        senders.add(threading.get_ident())
        try:
            self._send()
        finally:
            senders.discard(threading.get_ident())

    def _send(self) -> None:
        me, bell = threading.current_thread(), self._bell
        idle = left = 0
        self._release()  # who closed may have been interrupted
        while not self._closed and self._thread is me:
            if self._orphaned:
                self.close()
                break
            moved = waiting = 0
            self._show()
            flushes = len(self._flushes)
            try:
                if not flushes and self._in_burst(left):
                    moved = 1
                    self._look()
                else:
                    moved, waiting = self._empty(pace.ALL if flushes else pace.BITE)
                left = len(self.queue)
                self._tell()
                self._settle(flushes)
            except BaseException:  # noqa: BLE001 - whatever it is, the next records are not to wait for ever
                waiting = 1
            waiting = waiting or len(self._flushes)
            idle = 0 if moved or waiting else idle + 1
            if idle > pace.IDLE_TICKS:
                self._sleep(bell)
                idle = 0
            else:  # not time.sleep, which tests replace
                slow = waiting and not moved and not self._flushes
                bell.acquire(timeout=pace.SLOW_TICK if slow else pace.TICK)
        self._release()
        self._tell(last=True)
        while self._closed and self._flushes:
            self._flushes.popleft().done.release()

    def _possibly_lost(self) -> dict[str, int]:
        return self._delivery.possibly_lost() if self._delivery else {}

    def _show(self) -> None:
        """Say that the thread is at work: callers need not be for a while."""
        now = wall()
        self.since, self.due = now - pace.OLD, now + pace.PATIENCE
        self._seen = monotonic() + pace.PATIENCE

    def _tell(self, *, last: bool = False) -> None:
        """Write on stderr what there is to say. Not while it is our turn: whoever reads it may be slow."""
        for text in self._delivery.notices(last=last) if self._delivery else ():
            if self._report_interval != 0:
                say(text)
        self._report.tell(self._losses, self._possibly_lost(), last=last)

    def _in_burst(self, left: int) -> bool:
        """Whether callers log so much that they need no turns of ours; when it gets crowded, they help.

        Args:
            left: how many records there were at the end of the last look.
        """
        helped, self._helped = self._helped, False
        grown = len(self.queue) - left
        return helped or (grown > pace.BURST and left + grown <= self.crowded)

    def _look(self) -> None:
        """Hear what peers do, which callers do not: a short turn, since they would have to wait for a long one."""
        if monotonic() - self._heard > pace.HEAR:
            self._turn.await_ours()
            self._work(0)
            self._heard = monotonic()

    def _empty(self, bite: int) -> tuple[int, int]:
        """Deliver what is in the queue; whether anything moved, and how many records wait for a receiver."""
        moved, waiting, queued = 0, 0, len(self.queue)
        while True:  # in bites, so that a caller that wants to help need not wait for its turn long
            self._show()
            self._turn.await_ours()
            moved = self._work(bite) or moved
            waiting = self._delivery.waiting if self._delivery else 0
            self._heard = monotonic()
            if not self.queue or self._closed or len(self.queue) > queued:
                return moved, waiting

    def _settle(self, flushes: int) -> None:
        """See which of the first so many, for which all was delivered that can be, are over."""
        over = [flush for flush in list(self._flushes)[:flushes] if self._is_over(flush)]
        for flush in over:
            self._flushes.remove(flush)
            flush.done.release()

    def _is_over(self, flush: Flush) -> bool:
        """Whether all has left, or nobody waits any longer; after a round of deliveries."""
        self._turn.await_ours()
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            return self._judge(flush)
        finally:
            self._turn.at_work = False
            self._turn.lock.release()

    def _judge(self, flush: Flush) -> bool:
        left = self._delivery.has_left(flush) if self._delivery else True
        if (self._closed or self._delivery is None) and self.queue:
            left = False
        flush.left = left and self._lost() == flush.lost
        return left or monotonic() >= flush.over

    def _lost(self) -> int:
        return self._losses.dropped.total() + self._losses.failed

    def _sleep(self, bell: threading.Lock) -> None:
        self._asleep = True
        self.due = 0.0  # the next record rings
        if (
            self.queue
            or self._flushes
            or self._closed
            or self._orphaned
            or self._thread is not threading.current_thread()
            or not bell.acquire(timeout=pace.PEERS)
        ):
            self._asleep = False

    def _work(self, most: int) -> bool:
        """Deliver what is in the queue. Whose turn it is may call it, once; whether anything moved."""
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            moved = self._pump(most)
            if self._delivery:
                self._delivery.look_whether_stuck()
            return moved
        finally:
            self._turn.at_work = False
            self._turn.lock.release()

    def _pump(self, most: int, *, quiet: bool = False) -> bool:
        if self._delivery is None or self._closed:
            return False
        return self._delivery.deliver(self.queue, most, quiet=quiet)

    # The end

    def flush(self, timeout: float) -> bool:
        """Send what waits, and wait until it has left; whether it has: see `ZeroMQHandler.flush`."""
        if self._within == threading.get_ident():
            return False  # what is being sent waits for this very call
        flush = Flush(monotonic() + timeout, self._lost())
        grace = self._settings.linger / 1000
        if self._thread is not None and not self._closed and monotonic() <= self._seen:
            self._flushes.append(flush)
            self._wake()
            flush.done.acquire(timeout=timeout + grace + pace.GRACE)
            return flush.left
        while True:
            if not self._turn.take(max(grace, flush.over - monotonic())):
                return False
            try:
                self._turn.at_work = True
                self._turn.idle_since = 0.0
                with contextlib.suppress(Exception):  # the records are where they were
                    self._pump(pace.ALL)
                    if self._judge(flush):
                        return flush.left
                if monotonic() >= flush.over:
                    return False
            finally:
                self._turn.at_work = False
                self._turn.lock.release()
            flush.done.acquire(timeout=pace.TICK)  # not time.sleep, which tests replace

    def close(self) -> None:
        """Send what is left, within `linger`; count what could not be sent."""
        if self._within == threading.get_ident():
            return
        if self._closed and not self.queue:
            self._release()  # who closed may have been interrupted
            return
        deadline = monotonic() + self._settings.linger / 1000
        if self._ended_by:
            deadline = min(deadline, self._ended_by)
        if not self._turn.take(self._settings.linger / 1000 + RECOVERY):  # a socket may just be opened
            # A signal handler interrupted the very thread that sends, or a function of the user's does not return.
            if self._report_interval != 0:
                say(
                    f"log handler: {len(self.queue)} records and more wait behind one that is being sent: not closed"
                )
            return
        thread, cancel, bell = self._thread, self._cancel_at_end, self._bell
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            late = self._finish(deadline)
        finally:
            self._turn.at_work = False
            self._turn.lock.release()
        if cancel:
            cancel()
        lifetime.forget_orphan(self)
        if late and self.queue and self._reopen():  # other threads have logged meanwhile
            self.attend()
        with contextlib.suppress(RuntimeError):  # somebody else has rung
            bell.release()
        if thread and thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - monotonic()) + pace.GRACE)
            if thread.is_alive():
                self._tell(last=True)
        else:
            self._release()
            self._tell(last=True)

    def _finish(self, deadline: float) -> bool:
        """Send what is left and close; whether what is in the queue now was logged meanwhile, and is to be sent."""
        late = False
        self._ended = lifetime.is_ending()
        if self._ended:
            self.limit = -1
        if self._delivery and (self.queue or not self._closed):  # another thread may have closed meanwhile
            with contextlib.suppress(Exception):
                self._delivery.finish(self.queue, deadline)
                late = not self._ended
        self._cancel_at_end = None
        self.limit = -1  # before the other: who sees that sets it to another value
        self._closed = True
        while self.queue and not late:  # it could not begin at all, or there is nobody who would send it
            self._losses.refuse(UNSENT, level_of(self.queue.popleft())[1])
        return late

    def _release(self) -> None:
        """Close the socket: the thread's part, since it may take long and no thread can be started at exit."""
        if self._delivery:
            self._delivery.release()

    def prepare_for_exit(self) -> None:
        """Have logging close the handler, unless nothing is left to do."""
        if self.owner and (self.queue or not self._closed):
            lifetime.have_logging_close(self.owner)

    def orphan(self) -> None:
        """The handler is gone without `close`: the thread closes, since who collects garbage must not wait."""
        if self._closed and not self.queue:
            return
        if self._thread and self._thread.is_alive():
            self._orphaned = True
            lifetime.keep_orphan(self)
            self._wake()
        else:
            self.close()

    def stats(self) -> dict[str, Any]:
        """Counters, in records: see `ZeroMQHandler.stats`."""
        if not self._turn.take(0.1):
            return self._stats()  # somebody sends all the time: a record that is on its way may be missing
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            return self._stats()
        finally:
            self._turn.at_work = False
            self._turn.lock.release()

    def _stats(self) -> dict[str, Any]:
        delivery = self._delivery
        return {
            "sent": delivery.sent if delivery else 0,
            "queued": len(self.queue) + (delivery.waiting if delivery else 0),
            "dropped": dict(self._losses.dropped),
            "failed": self._losses.failed,
            **({"possibly_lost": possibly} if (possibly := self._possibly_lost()) else {}),
        }

    def start_again_in_child(self) -> None:
        """After a fork: what was queued is the parent's to send."""
        if self._delivery:
            self._delivery.abandon()
        self._forked = True
        senders.clear()
        self._begin()
        if self._closed:
            self.limit = -1
