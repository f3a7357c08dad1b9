"""What a run needs of the event loop and the interpreter: signals wake it, garbage is seldom looked for."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
