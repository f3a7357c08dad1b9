"""Messages from standard input, one a line (Message::Passing::Input::STDIN)."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.errors import OpenError
from message_passing.inputs._kept_position import KeptPosition
from message_passing.inputs._reading import CHUNK, LineInput, how_far, next_byte, readable
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Mapping


class StdinInput(LineInput):
    """Reads messages from standard input, one a line, as bytes, until it ends.

    Empty lines are skipped, and so are lines that are too long (`max_line`). Only the newline is removed from a
    line, not a carriage return before it, and a byte-order mark from the first one. A last line without a newline is
    a message too, and everything that was read is passed on before the chain ends. On a stop, the current line is
    read to its end; one whose rest does not come at once is counted as dropped (`incomplete at stop`).

    With `position_file`, standard input is a file (`< orders.log`), and nothing of it is left out: the position
    moves when the chain has settled what was read, what the chain loses is delivered again, and a new run begins
    there, also after a crash, when what was not settled comes again. A stop leaves an incomplete line for the next
    run.

    Only one input of a process can read standard input.
    """

    name = "STDIN"
    exclusive = "standard input"
    exclusive_paths = ("position_file",)

    fd: ClassVar[int] = 0
    """The file descriptor to read; a subclass may set another."""

    position_file: str = option(
        path=True,
        default="",
        min_length=1,
        description="Path of a file that keeps the position, moved when what was read is settled; standard input"
        " must be a file then. Only one input can use it; beside it, there is a `.lock`.",
    )

    _readers: ClassVar[dict[int, StdinInput]] = {}
    """The reader of each descriptor in this process: a second one would wait for data that the first has read."""

    def on_init(self) -> None:
        """Prepare."""
        super().on_init()
        self._kept: KeptPosition | None = None
        if self.position_file:
            self.acknowledges = True
            self._kept = KeptPosition(self, self.position_file)

    def on_open(self) -> None:
        """Check that there is something to read.

        Raises:
            OpenError: standard input is closed, a directory, only for writing, or another input reads it; or the
                position file cannot be used.
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
        if self._readers.get(self.fd, self) is not self:
            raise OpenError(
                "another input of this process reads standard input: use one input, and T after it"
            )
        if self._kept:
            if not stat.S_ISREG(mode):
                raise OpenError(
                    "position_file is for a file as standard input (message-passing ... < FILE): what comes through "
                    "a pipe or from a terminal has no position"
                )
            if self._kept.open(self.fd):
                self._text.begin_within(os.pread(self.fd, 4, 0))
        self._readers[self.fd] = self

    def on_close(self) -> None:
        """Let another input read, and save the position up to which everything is settled."""
        if self._readers.get(self.fd) is self:
            del self._readers[self.fd]
        if self._kept:
            self._kept.close()

    async def run(self) -> None:
        """Read until the end. The descriptor stays blocking: it is shared, for instance with a terminal."""
        with self._kept.keeping.running() if self._kept else nullcontext():
            await self._read_all()

    async def _read_all(self) -> None:
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
            if self._kept:
                self._kept.was_read(data, self._text.newline())
            await self.pass_on()
            if not wait:
                await asyncio.sleep(0)
        self.end_line()
        if self._kept:
            self._kept.at_end()
        await self.pass_on()

    async def pass_on(self) -> None:
        """See `LineInput`; with a position file, deliver, and mark the position."""
        if self._kept:
            await self._kept.deliver(self._take_lines())
        else:
            await super().pass_on()

    def stopped(self) -> None:
        """See `LineInput`. With a position file, an incomplete line is left for the next run."""
        if self._kept:
            self._kept.deliver_last(self._take_lines())
        else:
            super().stopped()

    def _take_lines(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        return self.as_messages(lines)

    def info(self) -> Mapping[str, Any]:
        """With a position file: the position, and the number of unsettled messages."""
        return {**super().info(), **(self._kept.info() if self._kept else {})}

    def problems(self) -> list[str]:
        """The chain loses messages, or the position cannot be saved."""
        return self._kept.problems() if self._kept else []

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
