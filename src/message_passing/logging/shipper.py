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
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic, wall
from message_passing.logging import lifetime, pace
from message_passing.logging.backlog import share
from message_passing.logging.delivery import Delivery
from message_passing.logging.intake import Load
from message_passing.logging.losses import Losses, Report
from message_passing.logging.stderr import say
from message_passing.logging.taken import WEIGHT, level_of
from message_passing.logging.turn import RECOVERY, Turn
from message_passing.zeromq.sending import QUEUE_FULL, UNSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.backlog import Policy
    from message_passing.logging.entry import Entry
    from message_passing.logging.quick import Item
    from message_passing.logging.taken import Taken
    from message_passing.zeromq.settings import SocketSettings


class Shipper:
    """Queue and thread of one handler. The public attributes are for the handler's hot path."""

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        make_encoder: Callable[[], Callable[[Item], bytes]],
        queue_bytes: int,
        report_interval: float | None,
        *,
        numbered: bool,
    ) -> None:
        """Prepare; nothing is opened and no thread is started before the first record.

        Args:
            settings: the socket's; its high-water mark bounds what waits here.
            policy: what goes when there is too much.
            make_encoder: makes the function that encodes a record, in this process.
            queue_bytes: how many bytes of them may wait, in the queue, encoded, and in ZeroMQ; 0 for no bound.
            report_interval: seconds between two lines on stderr about new losses; None for none at all.
            numbered: whether records are given sequence numbers.
        """
        self._report_interval = report_interval
        self._settings = settings
        self._policy = policy
        self._make_encoder = make_encoder
        self._queue_bytes = queue_bytes
        self._numbered = numbered
        self._closed = False
        self._begin()
        lifetime.register(self)

    def _begin(self) -> None:
        self.queue: deque[Entry | Taken] = deque()
        bounds = self._settings.hwm, share(self._queue_bytes, WEIGHT)
        self.limit: float = min((bound for bound in bounds if bound), default=float("inf"))
        self.since = self.due = 0.0
        self.crowded = min(pace.HELP_ABOVE, self.limit * 0.8, self.limit - 2)
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
        self._flushes: deque[threading.Lock] = deque()
        self._starting = threading.Lock()  # taken once, by the one who starts
        self._orphaned = False
        self._releases: list[Callable[[], None]] = []
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

    def refuse(self, level: str, *, weight: int = 0) -> None:
        """Count a record for which there is no room, which may have been admitted."""
        self._load.taken += weight
        self._losses.refuse("closed" if self._closed else QUEUE_FULL, level)
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
                self._make_encoder(),
                self._losses,
                self._load,
                most=self._queue_bytes,
                numbered=self._numbered,
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
        if now < self._thread_after:
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
        idle = left = 0
        while not self._closed:
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
            except BaseException:  # noqa: BLE001 - whatever it is, the next records are not to wait for ever
                waiting = 1
            for _ in range(flushes):
                self._flushes.popleft().release()
            idle = 0 if moved or waiting else idle + 1
            if idle > pace.IDLE_TICKS:
                self._sleep()
                idle = 0
            else:  # not time.sleep, which tests replace
                self._bell.acquire(timeout=pace.SLOW_TICK if waiting and not moved else pace.TICK)
        self._release()
        self._tell(last=True)
        while self._flushes:
            self._flushes.popleft().release()

    def _possibly_lost(self) -> dict[str, int]:
        return self._delivery.possibly_lost() if self._delivery else {}

    def _show(self) -> None:
        """Say that the thread is at work: callers need not be for a while."""
        now = wall()
        self.since, self.due = now - pace.OLD, now + pace.PATIENCE
        self._seen = monotonic() + pace.PATIENCE

    def _tell(self, *, last: bool = False) -> None:
        """Write on stderr what there is to say. Not while it is our turn: whoever reads it may be slow."""
        for text in self._delivery.notices() if self._delivery else ():
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

    def _sleep(self) -> None:
        self._asleep = True
        self.due = 0.0  # the next record rings
        if (
            self.queue
            or self._flushes
            or self._closed
            or self._orphaned
            or not self._bell.acquire(timeout=pace.PEERS)
        ):
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

    def _pump(self, most: int, *, quiet: bool = False) -> bool:
        if self._delivery is None or self._closed:
            return False
        return self._delivery.deliver(self.queue, most, quiet=quiet)

    # The end

    def flush(self) -> None:
        """Send what can be sent now, without waiting for a receiver."""
        seconds = self._settings.linger / 1000
        if self._left_to_thread():
            done = threading.Lock()
            done.acquire()
            self._flushes.append(done)
            self._wake()
            done.acquire(timeout=seconds + pace.GRACE)
        elif self._turn.take(seconds):
            with contextlib.suppress(Exception):  # the records are where they were
                self._work(pace.ALL)

    def close(self) -> None:
        """Send what is left, within `linger`; count what could not be sent."""
        if self._closed:
            return
        deadline = monotonic() + self._settings.linger / 1000
        if not self._turn.take(self._settings.linger / 1000 + RECOVERY):  # a socket may just be opened
            return  # a signal handler interrupted the very thread that sends: nothing can be done here
        try:
            self._turn.at_work = True
            self._turn.idle_since = 0.0
            if self._delivery and not self._closed:  # another thread may have closed meanwhile
                with contextlib.suppress(Exception):
                    self._releases.append(self._delivery.finish(self.queue, deadline))
            self._closed = True
            self.limit = -1
            while self.queue:  # it could not begin at all
                self._losses.refuse(UNSENT, level_of(self.queue.popleft())[1])
        finally:
            self._turn.at_work = False
            self._turn.lock.release()
        if self._cancel_at_end:
            self._cancel_at_end()
        lifetime.forget_orphan(self)
        self._wake()
        thread = self._thread
        if thread and thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - monotonic()) + pace.GRACE)
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
        self._begin()
        if self._closed:
            self.limit = -1
