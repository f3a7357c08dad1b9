"""A line on standard error without waiting: writing to a pipe that is not read would block."""

from __future__ import annotations

import os
import select
import sys

from message_passing.clock import iso_time, wall
from message_passing.escaping import one_line

_LONGEST_OUTPUT = 2000
"""Bytes of a line. A pipe that can be written to takes PIPE_BUF, which is 512 or more (pipe(7): 4096), at once."""

_PREFIX = "message-passing: "


def say(text: str) -> bool:
    """Write a line, if that can be done at once.

    If `sys.stderr` has no file descriptor, it has been replaced by another object, whose `write` is called.

    Returns:
        Whether it was written, or need not be tried again.
    """
    stream = sys.stderr
    if stream is None:
        return True
    try:
        descriptor = stream.fileno()
    except Exception:  # noqa: BLE001 - it has none, or is not what it should be
        descriptor = -1
    line = f"{_PREFIX}{iso_time(wall())}: {one_line(text)}"
    try:
        if descriptor < 0:
            stream.write(f"{line}\n")
            return True
        if not _takes(descriptor):
            return False
        octets = line.encode("utf-8", "backslashreplace")[: _LONGEST_OUTPUT - 1] + b"\n"
        return os.write(descriptor, octets) > 0
    except Exception:  # noqa: BLE001 - it is closed, or full
        return True


def _takes(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poll.poll(0))
