"""What a run needs of the event loop and the interpreter: signals wake it, garbage is seldom looked for."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from message_passing.stopping import FROM_COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from message_passing.stopping import StopRequest

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_KEPT = 4 << 20
"""Bytes of a block that is made and freed: see `keep_freed_memory`."""

_SAME = 0.1
"""Seconds within which a second signal is still the first: timeout(1) sends each to us and to our group."""


class Stoppable(Protocol):
    """What signals stop and reopen."""

    stopping: bool
    on_hangup: Callable[[], object]
    stop_request: StopRequest

    def stop(self) -> None:
        """Ask it to stop, from a signal handler."""


@contextmanager
def woken_by_signals() -> Iterator[None]:
    """Within the block, a signal wakes the event loop, whenever it comes.

    Python's handlers run between two instructions. One whose signal came after the last of them and before
    the loop began to wait would not run until something else happens: a SIGTERM that is not obeyed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    hear, ring = socket.socketpair()
    hear.setblocking(False)
    ring.setblocking(False)
    loop.add_reader(hear, hear.recv, 4096)
    before = signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        loop.remove_reader(hear)
        hear.close()
        ring.close()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Within the block, Python looks for garbage cycles less often.

    A flood of messages is a flood of dicts, none of which is in a cycle, and by default each 700 of them are
    looked through. What is there before the flood is looked at no more. Measured: a tenth of what decoding costs.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def keep_freed_memory() -> None:
    """Have the C library keep up to 8 MiB of what is freed, instead of giving it back to the system after each batch.

    glibc maps what is larger than a threshold, unmaps it when it is freed, and raises the threshold to its size then;
    of memory freed otherwise, it keeps twice as much (mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: at first 128
    and 256 KiB). A batch takes more, in several pieces, so that the system had to provide each page of it anew.
    """
    bytes(_KEPT)  # mapped, not touched, and freed


@contextmanager
def obey_signals(server: Stoppable) -> Iterator[None]:
    """Within the block, signals stop and reopen `server`, as far as this is the main thread.

    Python's own handlers, not the loop's: they run between two instructions even while a filter is busy, so
    that a second signal can end a process that would not come back to its loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    first = 0.0

    def on_stop(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not server.stopping:
            first = time.monotonic()
            server.stop()
        elif time.monotonic() - first >= _SAME:
            os._exit(128 + number)

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        server.on_hangup()

    before = {number: signal.signal(number, on_stop) for number in _STOP_SIGNALS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_hangup)
    server.stop_request.caught = FROM_COMPONENTS
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_status_at_exit() -> None:
    """Have the signals that `obey_signals` obeys ignored from the exit handlers on.

    All is done by then, and the status is known. While Python ends, it gives signals back to the system, which would
    kill the process (Py_FinalizeEx).
    """
    if threading.current_thread() is threading.main_thread():
        atexit.unregister(_ignore_signals)
        atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    for number in (*_STOP_SIGNALS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
