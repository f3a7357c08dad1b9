"""Messages from standard input, one a line (Message::Passing::Input::STDIN)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
from typing import ClassVar

from message_passing.errors import OpenError
from message_passing.inputs._reading import CHUNK, LineInput, how_far, next_byte, readable


class StdinInput(LineInput):
    """Reads messages from standard input, one a line, as bytes, until it ends.

    Empty lines are skipped, and so are lines that are too long (`max_line`). Only the newline is removed from a
    line, not a carriage return before it, and a byte-order mark from the first one. A last line without a newline is
    a message too, and everything that was read is passed on before the chain ends. On a stop, the current line is
    read to its end; one whose rest does not come at once is counted as dropped (`incomplete at stop`).

    Only one input of a process can read standard input.
    """

    name = "STDIN"
    exclusive = "standard input"

    fd: ClassVar[int] = 0
    """The file descriptor to read; a subclass may set another."""

    _readers: ClassVar[dict[int, StdinInput]] = {}
    """The reader of each descriptor in this process: a second one would wait for data that the first has read."""

    def on_open(self) -> None:
        """Check that there is something to read.

        Raises:
            OpenError: standard input is closed, a directory, only for writing, or another input reads it.
        """
        if self.fd == 0 and sys.__stdin__ is None:
            raise OpenError("standard input is closed")  # and the number may have been reused
        try:
            mode = os.fstat(self.fd).st_mode
            access = fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_ACCMODE
        except OSError as error:
            raise OpenError(f"standard input is closed ({error.strerror})") from error
        if stat.S_ISDIR(mode):
            raise OpenError("standard input is a directory: give a file or a pipe")
        if access == os.O_WRONLY:
            raise OpenError("standard input is open for writing only")
        if self._readers.setdefault(self.fd, self) is not self:
            raise OpenError(
                "another input of this process reads standard input: use one input, and T after it"
            )

    def on_close(self) -> None:
        """Let another input read."""
        if self._readers.get(self.fd) is self:
            del self._readers[self.fd]

    async def run(self) -> None:
        """Read until the end. The descriptor stays blocking: it is shared, for instance with a terminal."""
        wait = True
        while True:
            if wait:
                try:
                    await readable(self.fd)
                except PermissionError:
                    wait = False  # a file is always ready
            try:
                data = os.read(self.fd, CHUNK)
            except BlockingIOError:
                continue  # a program that shares it made it non-blocking and was faster
            except OSError as error:
                self.report(OpenError(f"standard input cannot be read any further: {error.strerror}"))
                data = b""
            if not data:
                break
            self.take(data)
            await self.pass_on()
            if not wait:
                await asyncio.sleep(0)
        self.end_line()
        await self.pass_on()

    def read_byte(self) -> bytes | None:
        """Read one byte only: the rest may be for the next program that reads this descriptor."""
        return next_byte(self.fd)

    def source(self) -> str:
        """The name of its source."""
        return "standard input"

    def progress(self) -> tuple[int, int] | None:
        """How far it has been read, if it is a file."""
        return how_far(self.fd)

    def as_messages(self, lines: list[bytes]) -> list[bytes]:
        """The lines that are not empty."""
        return [line for line in lines if line]
