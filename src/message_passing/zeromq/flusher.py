"""A thread that lives only while a sender buffers messages or must reconnect: it sends once a peer is ready.

Without it, what a synchronous program logged before its receiver started would wait for the program's next
message, which may be hours away.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from message_passing.zeromq.sending import Sender

_POLL_INTERVAL_MS = 100
"""Milliseconds between polls when the socket gives no signal: another thread may have consumed the signal."""

NOBODY_THERE, SLOW_AFTER = 5.0, 60.0
"""Seconds without progress of a full queue until the reason is reported: with a peer missing, and with all connected,
which may be slow."""


class Flusher:
    """Serves one sender, under the lock that all its users take."""

    def __init__(self, sender: Sender, lock: threading.RLock) -> None:
        self._sender = sender
        self._lock = lock
        self._thread: threading.Thread | None = None
        self._wait = self._wake = -1
        self._bell = threading.Lock()  # a caller that signals must not find another file in place of the pipe
        self._sent, self._since, self._said = -1, 0.0, False

    def look_after(self) -> None:
        """Ensure that what the sender buffers will be sent. Called with the lock held."""
        if self._thread is not None:
            return
        try:
            self._wait, self._wake = os.pipe()
        except OSError:  # no descriptor is free: the next message tries again, and close() sends
            return
        os.set_blocking(self._wake, False)
        thread = threading.Thread(
            target=self._run, args=(self._wait,), name="message-passing-flusher", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or no thread is available: close() sends
            os.close(self._wait)
            os.close(self._wake)
        else:
            self._thread = thread

    def changed(self) -> None:
        """Wake it since peers have connected or disconnected. From any thread; never waits."""
        if self._lock.acquire(blocking=False):  # whoever holds it is handling that anyway
            try:
                if self._sender.file_descriptor >= 0:
                    self.look_after()
            finally:
                self._lock.release()
        with self._bell, contextlib.suppress(BlockingIOError):
            if self._thread:
                os.write(self._wake, b"\0")

    def _run(self, wait: int) -> None:
        poll = select.poll()
        poll.register(self._sender.file_descriptor, select.POLLIN)
        poll.register(wait, select.POLLIN)
        try:
            while True:
                ready = poll.poll(_POLL_INTERVAL_MS)
                if any(fd == wait for fd, _ in ready) and not self._rung(wait):
                    return
                with self._lock:
                    self._sender.service()
                    if not self._sender.held and not self._sender.outgoing.waits:
                        return
                    self._look_whether_stuck()
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._forget()
            os.close(wait)

    def _look_whether_stuck(self) -> None:
        """Report once why nothing is sent, where that blocks a chain or drops messages."""
        sender, now = self._sender, monotonic()
        if sender.sent != self._sent or not sender.backlog():
            self._sent, self._since, self._said = sender.sent, now, False
            return
        stood = now - self._since
        if self._said or stood < (SLOW_AFTER if sender.outgoing.all_there() else NOBODY_THERE):
            return
        self._said = True
        if obstacle := sender.outgoing.obstacle():
            text = f"the queue is full, and nothing was sent for {stood:.0f} s: {obstacle}"
            sender.notices.say("full for long", text)

    @staticmethod
    def _rung(wait: int) -> bool:
        """Whether the pipe had a signal other than its end."""
        return bool(os.read(wait, 4096))

    def _forget(self) -> None:
        with self._bell:
            self._thread = None
            os.close(self._wake)

    def abandon(self) -> None:
        """Reset in a forked child, where the thread does not exist."""
        if self._thread:
            self._bell = threading.Lock()
            self._forget()
            os.close(self._wait)

    def stop(self) -> None:
        """End the thread and wait for it. Called without the lock."""
        with self._lock:
            thread = self._thread
            if thread:
                self._forget()  # the other end becomes readable: its end of file
        if thread:
            thread.join()
