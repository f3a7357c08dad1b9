"""A worker's second thread: it watches for the parent's end or a stop request, and samples utilization.

While the console has a viewer, the parent writes a byte to the worker's pipe each second; it writes another one when
a stop is requested. The pipe is read even while a component hangs, unlike messages.
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
"""The byte that the parent writes while the console has a viewer."""

STOP = b"s"
"""The byte that it writes after a stop request: a busy component must not begin much more."""

_LEASE = 3.0
"""Seconds for which a byte counts."""

_TELL = 1.0
"""Seconds between two reports of the samples."""

_PARENT_INTERVAL = 1.0
"""Seconds between two checks that the parent is alive, besides waiting for its pipe to end."""


class ParentWatchdog:
    """The thread; when the parent is gone, it ends the process."""

    def __init__(self, parent: int, lifeline: int, folder: str) -> None:
        """Begin.

        Args:
            parent: its process.
            lifeline: the descriptor of the pipe that is closed when the parent ends.
            folder: the directory that the parent would have removed.
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
        """Sample the thread that calls this from now on.

        Args:
            names: the parts' names, by their `id()`.
            tell: called with each part's share of the time; with an empty mapping when there is no viewer any more.
            on_stop: called, from this thread or the other, when a stop is requested.
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
        while os.getppid() == self._parent:  # checked too: a process that it started may hold the pipe open
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
