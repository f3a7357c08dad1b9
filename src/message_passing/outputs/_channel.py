"""Writing to a descriptor that may stand still: a pipe, a terminal, a socket, whose reader takes nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import stat
import termios
from array import array
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PIPE_ROOM = select.PIPE_BUF
"""So many bytes a pipe takes without waiting when poll(2) says that it takes any (pipe(7))."""


class Channel:
    """A descriptor that is written without waiting for whoever reads it.

    Whether a descriptor waits is not ours to say where it is shared: a terminal's is that of the shell, too. So a
    pipe or terminal is opened once more for ourselves (proc_pid_fd(5)), and where the system does not let us, it is
    written in pieces that fit. Files and other devices never stand still, and are written as they are.

    Attributes:
        given: the descriptor.
        may_stand: whether it may stand still at all.
        is_named_pipe: whether it is a pipe that somebody can open by a name.
        identity: device and inode: what tells whether the descriptor's number is another file's by now.
    """

    def __init__(self, fd: int) -> None:
        """Look at it.

        Raises:
            OSError: it is closed.
        """
        found = os.fstat(fd)
        self.identity = found.st_dev, found.st_ino
        is_pipe = stat.S_ISFIFO(found.st_mode)
        self.is_named_pipe = is_pipe and not _name_of(fd).startswith("pipe:")
        self.may_stand = is_pipe or stat.S_ISSOCK(found.st_mode) or os.isatty(fd)
        self.given = fd
        self._own = -1
        self._socket: socket.socket | None = None
        self._write: Callable[[memoryview], int] | None = None

    def fileno(self) -> int:
        """What a loop can wait for until there is room."""
        return self.given if self._own < 0 else self._own

    def write(self, data: memoryview) -> int:
        """Write the beginning of some data: what fits at once.

        Returns:
            How many bytes.

        Raises:
            BlockingIOError: nothing fits.
            OSError: the system refuses it.
        """
        if not self.may_stand:
            return os.write(self.given, data)
        if self._write is None:
            self._write = self._way()
        return self._write(data)

    def _way(self) -> Callable[[memoryview], int]:
        """How it can be written without waiting."""
        if not os.get_blocking(self.given):
            return self._write_own
        with contextlib.suppress(OSError):  # it is none
            self._socket = socket.socket(fileno=os.dup(self.given))
            return partial(_send, self._socket)
        with contextlib.suppress(
            OSError
        ):  # another user's; or it has no reader any more, which writing will tell
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._own = os.open(f"/proc/self/fd/{self.given}", flags)
            return self._write_own
        return self._write_what_fits

    def _write_own(self, data: memoryview) -> int:
        return os.write(self.fileno(), data)

    def _write_what_fits(self, data: memoryview) -> int:
        if not self.has_room(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self.given, data[:_PIPE_ROOM])

    def has_room(self, seconds: float) -> bool:
        """Wait until it takes something, or an error would be told, for so long at most."""
        poll = select.poll()  # select.select takes no descriptor above 1023
        poll.register(self.fileno(), select.POLLOUT)
        return bool(poll.poll(1000 * seconds))

    def unread(self) -> int:
        """How many bytes a pipe has that nobody has read."""
        size = array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.given, termios.FIONREAD, size)
        return size[0]

    def close(self) -> None:
        """Let go of what was opened here; the descriptor itself is its owner's to close."""
        own, self._own = self._own, -1
        if own >= 0:
            os.close(own)
        if self._socket:
            self._socket.close()
            self._socket = None
        self._write = None

    def __del__(self) -> None:
        """A component that nobody closes leaves nothing open."""
        if getattr(self, "_own", -1) >= 0 or getattr(self, "_socket", None):
            self.close()


def opened_channel(fd: int) -> Channel:
    """A channel to a descriptor that is ours; it is closed where it cannot be looked at."""
    try:
        return Channel(fd)
    except OSError:
        os.close(fd)
        raise


def _name_of(fd: int) -> str:
    """What Linux calls a descriptor: `pipe:[4711]` where it has no name (proc_pid_fd(5)); elsewhere `pipe:` too."""
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return "pipe:"


def _send(line: socket.socket, data: memoryview) -> int:
    return line.send(data, socket.MSG_DONTWAIT)
