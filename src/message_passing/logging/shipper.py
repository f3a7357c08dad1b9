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
import os
import sys
import threading
import time
import weakref
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError
from message_passing.logging.backlog import make_backlog
from message_passing.zeromq.sending import QUEUE_FULL, UNSENT, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.logging.backlog import Policy
    from message_passing.logging.entry import Entry
    from message_passing.zeromq.sockets import SocketSettings

TICK = 0.005
"""Seconds between two looks into the queue while records come."""

SLOW_TICK = 0.05
"""The same while all that there is waits for a receiver."""

PATIENCE = 0.25
"""Seconds without a sign of the thread after which a caller does its work."""

_IDLE_TICKS = 100
_HELP = 200
"""Records that a caller deals with when it helps."""

HELP_ABOVE = 2000
"""Records in the queue above which callers help."""

_BATCH = 500
_PIPE = 5000
"""Records in ZeroMQ's own queue at most: those can be neither chosen from nor counted any more."""

_FAILED = "could not be encoded"
_CLOSED = "closed"

_shippers: weakref.WeakSet[Shipper] = weakref.WeakSet()


class Shipper:
    """Queue, thread and sender of one handler. `queue`, `limit` and `due` are for the handler's hot path."""

    def __init__(
        self,
        settings: SocketSettings,
        policy: Policy,
        encoder: Callable[[], Callable[[Entry], bytes]],
        notice: Callable[[Counter[str], str, float], Entry],
    ) -> None:
        """Prepare; nothing is opened and no thread is started before the first record.

        Args:
            settings: the socket's; its high-water mark bounds what waits here.
            policy: what goes when there is too much.
            encoder: makes the function that encodes an entry, in this process.
            notice: makes the entry that tells of dropped ones: how many of each level, why, since when.
        """
        self._settings = settings
        self._policy = policy
        self._make_encoder = encoder
        self._notice = notice
        self._begin()
        _shippers.add(self)

    def _begin(self) -> None:
        self.queue: deque[Entry] = deque()
        self.limit: float = self._settings.hwm or float("inf")
        self.due = 0.0
        self.sequence = itertools.count(1)
        self.refused: deque[str] = deque()
        self.dropped: Counter[str] = Counter()
        self.sent = 0
        self._lock = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._asleep = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._begun = False
        self._sender: Sender | None = None
        self._open_after = 0.0
        self._backlog = make_backlog(self._policy, self._settings.hwm)
        self._encode: Callable[[Entry], bytes] | None = None
        self._untold: Counter[str] = Counter()
        self._untold_why: Counter[str] = Counter()
        self._untold_since = 0.0

    # The caller's side: none of this waits.

    def attend(self, now: float) -> None:
        """See to it that the queue is emptied: called for the first record after `due`, or for too many.

        Args:
            now: the time, in seconds since 1970.
        """
        self.due = now + PATIENCE
        if not self._begun:
            self._start()
        elif self._asleep:
            self._wake()
        else:
            self.help()

    def help(self) -> None:
        """Do a share of the thread's work, unless somebody is at it."""
        if self._lock.acquire(blocking=False):
            try:
                self._pump(_HELP)
            finally:
                self._lock.release()

    def refuse(self, level: str, now: float) -> None:
        """Count a record for which there is no room."""
        self.refused.append(level)
        self.attend(now)

    def _start(self) -> None:
        self._begun = True
        _at_process_end(self)
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
        idle = 0
        while not self._closed:
            with self._lock:
                moved = self._pump(None)
                waiting = len(self._backlog)
            idle = 0 if moved or waiting else idle + 1
            if idle > _IDLE_TICKS:
                self._sleep()
                idle = 0
            else:
                time.sleep(SLOW_TICK if waiting and not moved else TICK)

    def _sleep(self) -> None:
        self._asleep = True
        self.due = 0.0  # the next record rings
        if self.queue or self._closed:
            self._asleep = False
            return
        self._bell.acquire()

    def _pump(self, most: int | None) -> bool:
        """Encode what is in the queue, at most `most` records, and send what can be sent. With the lock held.

        Returns:
            Whether anything moved.
        """
        self.due = time.time() + PATIENCE
        queue, backlog = self.queue, self._backlog  # only ever emptied here, with the lock held
        taken = min(len(queue), most) if most else len(queue)
        encode = self._encode or self._begin_encoding()
        self._count_refused()
        entries, encoded = [], []
        for _ in range(taken):
            entry = queue.popleft()
            try:
                encoded.append(encode(entry))
                entries.append(entry)
            except Exception:  # noqa: BLE001 - nothing that a record holds stops the others
                self._lose(_FAILED, entry.level)
        before, done = self.sent, 0
        if self._ready():
            if encoded and not len(backlog) and not self._untold:
                done = self._offer(encoded)
            else:
                self._send_backlog()
        if done < len(encoded):
            self._keep(entries[done:], encoded[done:])
        return bool(taken) or self.sent > before

    def _keep(self, entries: list[Entry], encoded: list[bytes]) -> None:
        for entry, text in zip(entries, encoded, strict=True):
            if gone := self._backlog.add((entry.level_number, entry.level, text)):
                self._lose(QUEUE_FULL, gone[1])
        self._send_backlog()

    def _send_backlog(self) -> None:
        while len(self._backlog):
            if self._untold and not self._tell():
                return
            records = self._backlog.first(_BATCH)
            done = self._offer(records)
            self._backlog.remove(done)
            if done < len(records):
                return

    def _offer(self, records: list[bytes]) -> int:
        done = self._sender.offer(records) if self._sender else 0
        self.sent += done
        return done

    def _tell(self) -> bool:
        """Send the notice of what was dropped since the last one, before the record that now gets through."""
        if not self._sender or not self._encode:
            return False
        why = ", ".join(self._untold_why)
        entry = self._notice(self._untold, why, self._untold_since)
        if not self._sender.offer([self._encode(entry)]):
            return False
        self._untold, self._untold_why = Counter(), Counter()
        return True

    def _lose(self, why: str, level: str) -> None:
        self.dropped[why] += 1
        if not self._untold:
            self._untold_since = time.time()
        self._untold[level] += 1
        self._untold_why[why] += 1

    def _count_refused(self) -> None:
        while self.refused:
            self._lose(_CLOSED if self._closed else QUEUE_FULL, self.refused.popleft())

    def _begin_encoding(self) -> Callable[[Entry], bytes]:
        self._encode = self._make_encoder()
        return self._encode

    def _ready(self) -> bool:
        if self._sender is None and time.monotonic() >= self._open_after:
            pipe = min(self._settings.hwm or _PIPE, _PIPE)
            sender = Sender(replace(self._settings, hwm=pipe))
            try:
                sender.open()
            except (OpenError, OSError):
                self._open_after = time.monotonic() + 1
            else:
                self._sender = sender
        return self._sender is not None

    # The end

    def flush(self) -> None:
        """Send what can be sent now, without waiting for a receiver."""
        if self._lock.acquire(timeout=self._settings.linger / 1000):
            try:
                if self._begun and not self._closed:
                    self._pump(None)
            finally:
                self._lock.release()

    def close(self) -> None:
        """Send what is left, within `linger`; count what could not be sent."""
        if self._closed:
            return
        deadline = time.monotonic() + self._settings.linger / 1000
        self.limit = -1
        if not self._lock.acquire(timeout=self._settings.linger / 1000):
            return  # a signal handler interrupted the very thread that sends: nothing can be done here
        try:
            self._finish(deadline)
            self._closed = True
        finally:
            self._lock.release()
        self._wake()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout=1)

    def _finish(self, deadline: float) -> None:
        if self._begun:
            self._pump(None)
            while (len(self._backlog) or self.queue) and (left := deadline - time.monotonic()) > 0:
                if self._sender:
                    self._sender.poll(max(1, int(min(left, 0.05) * 1000)))
                self._pump(None)
        for _, level, _ in self._backlog.drain():
            self._lose(UNSENT, level)
        if self._sender:
            self._sender.close_socket(max(0, int((deadline - time.monotonic()) * 1000)))
            self._sender = None

    def stats(self) -> dict[str, Any]:
        """Counters, in records: see `ZeroMQHandler.stats`."""
        if self._lock.acquire(timeout=0.1):
            try:
                self._count_refused()
            finally:
                self._lock.release()
        return {
            "sent": self.sent,
            "queued": len(self.queue) + len(self._backlog),
            "dropped": dict(self.dropped),
        }

    def start_again_in_child(self) -> None:
        """After a fork: what was queued is the parent's to send."""
        if self._sender:
            self._sender.abandon()
        closed = self._closed
        self._begin()
        self._closed = closed
        if closed:
            self.limit = -1


def _at_process_end(shipper: Shipper) -> None:
    """A child of multiprocessing or billiard ends by os._exit, past logging's own shutdown: register with it."""
    for library in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{library}.process"), sys.modules.get(f"{library}.util")
        if process is not None and util is not None and process.current_process()._parent_pid is not None:  # noqa: SLF001
            util.Finalize(None, shipper.close, exitpriority=-100)


def _start_again_in_child() -> None:
    for shipper in list(_shippers):
        shipper.start_again_in_child()


os.register_at_fork(after_in_child=_start_again_in_child)
