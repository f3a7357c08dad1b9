"""A worker's second thread: it watches for the parent's end or a stop request, and samples utilization.

The parent writes a byte to the worker's pipe for as long as it is watched, and another one when it is to stop, since
that is read also while a component hangs; its messages would not be.
"""

from __future__ import annotations

import os
import select
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from message_passing.profiler import INTERVAL, SamplingProfiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ASK = b"\n"
"""What the parent writes when it is watched."""

STOP = b"s"
"""What it writes after a stop request: a working component must not begin much more."""

_LEASE = 3.0
"""Seconds that this holds."""

_TELL = 1.0
"""Seconds between two reports of the samples."""

_PARENT_INTERVAL = 1.0
"""Seconds between two checks that the parent is alive, besides waiting for its pipe to end."""


class ParentWatchdog:
    """The thread, which the process ends with."""

    def __init__(self, parent: int, lifeline: int, folder: str) -> None:
        """Begin.

        Args:
            parent: its process.
            lifeline: the descriptor of the pipe that ends when it does.
            folder: what it would have removed.
        """
        self._parent, self._lifeline, self._folder = parent, lifeline, folder
        self._profiler = SamplingProfiler()
        self._lock = threading.Lock()
        self._tell: Callable[..., None] | None = None
        self._on_stop: Callable[[], object] | None = None
        self._stopped = False
        self._until = self._next = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def begin(
        self,
        names: Mapping[int, str],
        tell: Callable[..., None],
        on_stop: Callable[[], object] | None = None,
    ) -> None:
        """From now on there is something to see, in the thread that calls this.

        Args:
            names: the parts' names, by their `id()`.
            tell: called with `busy`, each part's share of the time; with none when nobody watches any more.
            on_stop: called, from this thread or the other, when somebody has asked for the end.
        """
        with self._lock:
            self._on_stop = on_stop
            if self._stopped and on_stop:
                on_stop()
            self._names, self._thread, self._tell = names, threading.get_ident(), tell

    def end(self) -> None:
        """Report nothing from now on."""
        with self._lock:
            self._tell = None

    def _run(self) -> NoReturn:
        """Wait until the parent is gone, and exit."""
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        while os.getppid() == self._parent:  # asked too: a process that it started may hold the pipe open
            if poll.poll(1000 * (INTERVAL if self._until else _PARENT_INTERVAL)):
                if not (orders := os.read(self._lifeline, 100)):
                    break
                if STOP in orders:
                    self._stop()
                if ASK in orders:
                    self._until = time.monotonic() + _LEASE
            if self._until:
                try:
                    self._look(time.monotonic())
                except Exception:  # noqa: BLE001 - that the parent's end is noticed matters more
                    self._until = 0.0
        for _ in range(100):  # the pipe ends a moment before the process does
            if os.getppid() != self._parent:
                shutil.rmtree(self._folder, ignore_errors=True)
                break
            time.sleep(0.01)
        os._exit(1)

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._on_stop:
                self._on_stop()

    def _look(self, now: float) -> None:
        with self._lock:
            if not self._tell:
                self._until = 0.0
                return
            told: Any = None
            if now > self._until:
                self._until, told = 0.0, {}
                self._profiler.forget()
            else:
                self._profiler.sample(self._thread, self._names)
                if now >= self._next:
                    shares = self._profiler.shares()
                    told = None if shares is None else {name: shares[name] for name in self._names.values()}
                    self._profiler.decay()
                    self._next = now + _TELL
            if told is not None:
                self._tell(busy=told)
