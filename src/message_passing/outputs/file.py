"""Messages to a file, one a line (Message::Passing::Output::File)."""

from __future__ import annotations

import contextlib
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import OpenError
from message_passing.options import option
from message_passing.outputs._lines import DescriptorOutput
from message_passing.secure_files import open_to_append

if TYPE_CHECKING:
    from collections.abc import Sequence


class FileOutput(DescriptorOutput):
    """Writes each message to a file, followed by a newline, with one write for all that arrived together.

    On SIGHUP the file is opened again by its name, so that logrotate may rename it. What the system
    refuses to write (a full disk) is counted as failed and reported, and the next messages are tried.

    A process of root follows symbolic links of root's alone, and in a folder that others may write it
    opens regular files with one name alone: so nobody can make it write elsewhere.
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
        self._fd = self._open_file(0 if self.append else os.O_TRUNC)

    def on_close(self) -> None:
        """End a torn line, for whoever appends to the file next, and close it."""
        self._release(self._fd)

    def reopen(self) -> None:
        """Open the name again, and let go of the old file only when that worked."""
        if not self._opened or self._closed:
            return
        try:
            fd = self._open_file(0)
        except OpenError as error:
            self.report(error)
        else:
            self._release(self._fd)
            self._fd = fd

    def write_many(self, messages: list[Any]) -> None:
        """One write for the batch."""
        self.write_lines(self._fd, messages)

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Say which file it was."""
        error.filename = self.filename
        super().refused(error, lines)

    def _open_file(self, flags: int) -> int:
        # Appending even to an emptied file: whoever truncates it under us leaves no hole in it then.
        flags |= os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            return open_to_append(self.filename, flags, 0o666)
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte in it
            reason = error.strerror if isinstance(error, OSError) else error
            raise OpenError(f"cannot write to the file {self.filename!r}: {reason}") from error

    def _release(self, fd: int) -> None:
        if self._torn:
            with contextlib.suppress(OSError):
                os.write(fd, b"\n")
            self._torn = False
        os.close(fd)
