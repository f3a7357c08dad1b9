"""Messages to a file, one a line (Message::Passing::Output::File)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError
from message_passing.options import option
from message_passing.outputs._channel import opened_channel
from message_passing.outputs._descriptor import DescriptorOutput
from message_passing.outputs._lines import ends_within_a_line
from message_passing.secure_files import open_to_append

if TYPE_CHECKING:
    from collections.abc import Sequence


_LOST = (errno.ESTALE, errno.ENOTCONN)
"""Errors of a file, or file system, that is gone: its name may lead to one again."""


class FileOutput(DescriptorOutput):
    """Writes each message to a file, followed by a newline, with one write for all that arrived together.

    On SIGHUP the file is opened again by its name, so that logrotate may rename it. What the system
    cannot write (a full disk) is counted as failed and reported, and the next messages are tried. A last line
    without a newline, left by a process that was killed, is ended first: no message is appended to it.

    A named pipe is written while it has a reader. Until then, and while its reader reads nothing, inputs wait; a
    missing reader is reported once. When its reader goes, what is left is kept for the next one. A stop waits for a
    reader for a bounded time, and so does the end of the inputs if there is none; what is not written then is
    counted (`not written at close`).

    A process of root follows only root's symbolic links, and in a directory that others may write to it
    opens only regular files with a single name: so no other user can make it write elsewhere.
    """

    name = "File"
    takes_blocks = True
    example = MappingProxyType({"filename": "messages.log"})

    filename: str = option(description="Path of the file to write.", min_length=1)
    append: bool = option(default=True, description="False empties the file when the chain starts.")

    def on_open(self) -> None:
        """Open the file, creating it.

        Raises:
            OpenError: the system refuses, or there is no such directory.
        """
        self._said = ""
        self._begin_with(self._open_file(0 if self.append else os.O_TRUNC))
        if self._fd < 0:
            self._say_once(
                f"nobody reads the named pipe {self.filename!r} yet: messages wait until somebody does"
            )

    def on_close(self) -> None:
        """End an incomplete line, for the next program that appends to the file, and close it."""
        if self._nobody and self._channel and (unread := self._channel.unread()):
            lost = f"{unread} bytes that were written to the named pipe {self.filename!r} are lost"
            self.report(OpenError(f"{lost}: nobody has read them"))
        self.finish()
        self._release()

    def reopen(self) -> None:
        """Open the name again, and close the old file only if that worked."""
        if not self._opened or self._closed or self._is_same_pipe():
            return
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self.report(error)
        else:
            self._release()
            self._begin_with(fd)

    def write_many(self, messages: list[Any]) -> None:
        """Write the batch with one call."""
        self._opened_for_error = False
        self.write_lines(messages)

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Name the file in the report."""
        error.filename = self.filename
        super().refused(error, lines)

    def opened_again(self, error: OSError) -> bool:
        """Reopen a file that its server has lost (a stale handle of NFS) by its name, once for a batch."""
        if error.errno not in _LOST or self._opened_for_error:
            return False
        self._opened_for_error = True
        try:
            fd = self._open_file(0)
        except OpenError:
            return False  # the error of the write is reported
        self._release()
        self._begin_with(fd)
        return True

    def look_for_reader(self) -> None:
        """Open the pipe, if it has a reader."""
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self._say_once(str(error))
        else:
            if fd >= 0:
                self._said = ""
                self._begin_with(fd)

    def waits_for_another(self, *, first: bool) -> bool:
        """Whether another reader may come: that of a named pipe."""
        if self._channel is None or not self._channel.is_named_pipe:
            return False
        if first:
            text = f"whoever read the named pipe {self.filename!r} has gone: messages wait for another reader"
            self.report(OpenError(text))
        return True

    def _begin_with(self, fd: int) -> None:
        """Write to this from now on; -1 for a pipe without a reader."""
        self.take_over(opened_channel(fd) if fd >= 0 else None)
        self._fd = fd
        if fd >= 0 and ends_within_a_line(fd):
            self._torn = True

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.report(OpenError(text))

    def _is_pipe(self) -> bool:
        try:
            return stat.S_ISFIFO(Path(self.filename).stat().st_mode)
        except OSError:
            return False

    def _is_same_pipe(self) -> bool:
        """Whether its name is still that of the pipe that it writes to, so that what the pipe has is kept."""
        if self._channel is None or not self._channel.is_named_pipe:
            return self._channel is None
        try:
            found = Path(self.filename).stat()
        except OSError:
            return False
        return self._channel.identity == (found.st_dev, found.st_ino)

    def _open_file(self, flags: int) -> int:
        """Open it: the descriptor, or -1 for a pipe without a reader."""
        # Appending even to an emptied file: if it is truncated meanwhile, that leaves no hole in it. And without
        # waiting for a pipe to be read.
        flags |= os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY
        try:
            return open_to_append(self.filename, flags, 0o666)
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte in it
            if isinstance(error, OSError) and error.errno == errno.ENXIO and self._is_pipe():
                return -1
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenError(f"cannot write to the file {self.filename!r}: {reason}") from error

    def _release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(
            OSError
        ):  # a stale handle's close fails, and the descriptor is gone all the same
            try:
                if self._torn:
                    os.write(fd, b"\n")
            finally:
                os.close(fd)
        self._torn = False
