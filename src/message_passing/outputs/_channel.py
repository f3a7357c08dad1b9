"""Writing to a descriptor that may block: a pipe, terminal or socket whose reader reads nothing."""

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
"""How many bytes a pipe accepts without blocking when poll(2) reports that it is writable (pipe(7))."""


class Channel:
    """A descriptor that is written without waiting for its reader.

    The blocking mode of a shared descriptor must not be changed: a terminal's is that of the shell, too. So a
    pipe or terminal is opened once more (proc_pid_fd(5)), and where the system does not allow that, it is
    written in pieces that fit. Files and other devices never block for long, and are written directly.

    Attributes:
        given: the descriptor.
        may_stand: whether it may block at all.
        is_named_pipe: whether it is a pipe that can be opened by a name.
        identity: device and inode, which show whether the descriptor's number has been reused for another file.
    """

    def __init__(self, fd: int) -> None:
        """Inspect the descriptor.

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
        """The descriptor that a loop can wait on until there is room."""
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
        """Determine how it can be written without blocking."""
        if not os.get_blocking(self.given):
            return self._write_own
        with contextlib.suppress(OSError):  # no descriptor is free
            if stat.S_ISSOCK(os.fstat(self.given).st_mode):  # else what is duplicated would stay open
                self._socket = socket.socket(fileno=os.dup(self.given))
                return partial(_send, self._socket)
        # It is another user's, or no longer has a reader, which writing will show.
        with contextlib.suppress(OSError):
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
        """Wait until it is writable or has an error, for at most this long."""
        poll = select.poll()  # select.select takes no descriptor above 1023
        poll.register(self.fileno(), select.POLLOUT)
        return bool(poll.poll(1000 * seconds))

    def unread(self) -> int:
        """How many unread bytes a pipe has."""
        size = array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.given, termios.FIONREAD, size)
        return size[0]

    def close(self) -> None:
        """Close what was opened here; its owner closes the descriptor itself."""
        own, self._own = self._own, -1
        if own >= 0:
            os.close(own)
        if self._socket:
            self._socket.close()
            self._socket = None
        self._write = None

    def __del__(self) -> None:
        """Leave nothing open if the component is never closed."""
        if getattr(self, "_own", -1) >= 0 or getattr(self, "_socket", None):
            self.close()


def opened_channel(fd: int) -> Channel:
    """A channel to a descriptor that we own; it is closed if it cannot be inspected."""
    try:
        return Channel(fd)
    except OSError:
        os.close(fd)
        raise


def _name_of(fd: int) -> str:
    """Linux's name for a descriptor: `pipe:[4711]` where it has no name (proc_pid_fd(5)); elsewhere `pipe:` too."""
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return "pipe:"


def _send(line: socket.socket, data: memoryview) -> int:
    return line.send(data, socket.MSG_DONTWAIT)
