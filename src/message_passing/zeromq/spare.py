"""Creating a socket only where there is room for it: libzmq aborts the process if resources run out halfway.

What it takes (measured, libzmq 4.3.5): a context one descriptor; its first socket five more and two threads, and of
these only the socket's own descriptor may be missing; a monitor two. So before a socket is created, as much as it
needs and more is allocated, and released at the last moment. Other Python threads cannot intervene: the GIL is kept
from then on. What remains to chance is a thread that runs without it, or another process where several share a limit
(RLIMIT_NPROC, a cgroup), in that very millisecond.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import zmq

from message_passing.clock import monotonic
from message_passing.errors import OpenError

if TYPE_CHECKING:
    from collections.abc import Callable

_Made = TypeVar("_Made")

_PIPES = 8
"""Two descriptors each: more than a socket, its monitor, a ZAP handler, and a connection need."""

_THREADS = 6
"""libzmq's two, and some that others may allocate meanwhile."""

_TASKS = "/proc/self/task"

_GONE_WITHIN = 1.0
"""Seconds until threads that have ended no longer count for the system either."""

_SEMAPHORE = 256
"""Bytes, of which a sem_t needs at most 32 (sem_init(3))."""


def with_room(make: Callable[[], _Made]) -> _Made:
    """Call a function that creates a context and its socket, if there is room for them.

    Raises:
        OpenError: there are too few descriptors or threads.
    """
    spare = _descriptors()
    try:
        _require_spare_threads()
        _pause(0.0001)  # a thread that has just acquired the GIL keeps it for a while (sys.getswitchinterval)
    finally:
        for one in spare:
            _close(one)
    return make()


def first_socket(kind: int) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
    """A new context, and its first socket.

    Args:
        kind: a ZeroMQ socket type.

    Raises:
        OpenError: see `with_room`.
    """

    def make() -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        return context, context.socket(kind)

    return with_room(make)


def _descriptors() -> list[int]:
    spare: list[int] = []
    try:
        for _ in range(_PIPES):
            spare += os.pipe()
    except OSError as error:
        for one in spare:
            os.close(one)
        raise OpenError(f"no descriptors are left for a socket: {error.strerror}") from error
    return spare


def _close_keeping_the_gil() -> Callable[[int], object]:
    with contextlib.suppress(OSError, AttributeError):
        close: Callable[[int], object] = ctypes.PyDLL(None).close
        return close
    return os.close


_close = _close_keeping_the_gil()


_semaphores: list[Any] = []
"""Semaphores that a thread may still wait for, whose memory must stay."""


@functools.cache
def _thread_functions() -> tuple[Any, ...] | None:
    """The system's functions for threads and semaphores, found once; None for a system without them."""
    try:
        libc = ctypes.CDLL(None)
        wait = ctypes.cast(libc.sem_wait, ctypes.c_void_p)
        found = libc.pthread_create, libc.pthread_join, wait, libc.sem_init, libc.sem_post
    except (OSError, AttributeError):
        return None
    return found


def _require_spare_threads() -> None:
    """Start threads, all at once, and end them again.

    They are the system's threads, not Python's, which need the GIL and may be greenlets. Each waits for a semaphore.
    """
    if (functions := _thread_functions()) is None:
        return
    create, join, wait, init, post = functions
    semaphore = ctypes.create_string_buffer(_SEMAPHORE)
    if init(semaphore, 0, 0) != 0:
        return
    before = _tasks()
    started: list[ctypes.c_void_p] = []
    number = 0
    try:
        for _ in range(_THREADS):
            thread = ctypes.c_void_p()
            if (number := create(ctypes.byref(thread), None, wait, semaphore)) != 0:
                break
            started.append(thread)
        new = _tasks() - before
    except BaseException:
        # A signal handler has raised: a thread may have been started without being recorded.
        _semaphores.append(semaphore)
        raise
    finally:
        for _ in range(_THREADS):
            post(semaphore)
        for thread in started:
            join(thread, None)
    if number:
        raise OpenError(f"no threads are left for a socket: {os.strerror(number)}")
    _wait_until_gone(new)


def _tasks() -> set[str]:
    with contextlib.suppress(OSError):
        return set(os.listdir(_TASKS))  # noqa: PTH208 - names are wanted
    return set()


def _wait_until_gone(tasks: set[str]) -> None:
    """A thread that was joined still counts for a moment."""
    deadline = monotonic() + _GONE_WITHIN
    if not tasks:  # there is no /proc to look it up
        _pause(0.02)
    while tasks & _tasks() and monotonic() < deadline:
        _pause(0.001)


def _pause(seconds: float) -> None:
    """Let other threads run. Not time.sleep, which tests replace."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=seconds)
