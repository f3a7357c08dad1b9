"""Code shared by inputs: limits of one read, waiting for a descriptor, inputs of lines."""

from __future__ import annotations

import asyncio
import os
import stat
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import Fault, MessageError, OptionError
from message_passing.failures import DATA_LIMIT
from message_passing.flow import Input
from message_passing.inputs._encoding import wrong_encoding
from message_passing.inputs._splitting import LineSplitter
from message_passing.options import option

if TYPE_CHECKING:
    from asyncio import Future

READ_BATCH = 1000
"""The most messages in a batch."""

CHUNK = 1 << 18
"""The most bytes that are read at once."""

_REST = 0.5
"""Seconds that a stop may take to read the rest of a line whose beginning was read."""
_PAUSE = 100
"""Milliseconds for which its writer may pause within that line."""
_CUT = "incomplete at stop"


async def readable(fd: int) -> None:
    """Wait until `fd` has something to read.

    The loop watches it only during this call: data that back-pressure leaves unread must not
    wake the loop again and again.

    Raises:
        PermissionError: it is a file, which cannot be waited for and need not be.
    """
    loop = asyncio.get_running_loop()
    ready: Future[None] = loop.create_future()
    loop.add_reader(fd, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def next_byte(fd: int) -> bytes | None:
    """One byte from a descriptor; empty at its end, None if none arrives within `_PAUSE`."""
    ready = poll()
    ready.register(fd, POLLIN)
    try:
        return os.read(fd, 1) if ready.poll(_PAUSE) else None
    except OSError:
        return b""


def _wake(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def how_far(fd: int) -> tuple[int, int] | None:
    """How many bytes of a file have been read, and its size; None if all were read, or it is not a regular file."""
    try:
        found = os.fstat(fd)
        done = os.lseek(fd, 0, os.SEEK_CUR) if stat.S_ISREG(found.st_mode) else found.st_size
    except OSError:
        return None
    return (done, found.st_size) if done < found.st_size else None


class LineInput(LineSplitter, Input):
    """The base of inputs whose messages are lines: `take` what was read, then `await pass_on()`."""

    max_line: int = option(
        default=16 * 1024 * 1024,
        description="The most bytes of a line. A longer one is skipped to its end and counted as failed; "
        "the report has its beginning. So an endless line does not fill the memory.",
        ge=1,
    )
    encoding: str = option(
        default="",
        min_length=1,
        description="The encoding of the text: `utf-16`, `latin-1`, `cp1252` or any other that Python "
        "knows. Default: as given by a byte-order mark at its beginning, UTF-8 without one.",
    )

    def on_init(self) -> None:
        """Start before the first line.

        Raises:
            OptionError: there is no such encoding.
        """
        super().on_init()
        if self.encoding and (wrong := wrong_encoding(self.encoding)):
            raise OptionError(Fault(f"{self.label}: option 'encoding': {wrong}", "encoding"))
        self.begin_lines(self.encoding)
        self._emitted = 0  # of the whole lines, so many have been passed on

    def as_messages(self, lines: list[bytes]) -> list[Any]:
        """The messages made from lines (without their newlines)."""
        raise NotImplementedError(f"{type(self).__name__} must define as_messages")

    def notice(self, error: MessageError) -> None:
        """Report it."""
        self.report(error)

    def too_long(self, line: bytes) -> None:
        """Skip a line of more than `max_line` bytes, of which this is at least the beginning: it fails."""
        text = f"a line of more than {self.max_line} bytes (max_line) was skipped; this is its beginning"
        self.fail(MessageError(text), [line[:DATA_LIMIT]], 1)  # the whole line was not kept

    async def pass_on(self) -> None:
        """Emit all complete lines, at the pace of what is downstream, letting other tasks run in between."""
        while self._lines:
            self._emit_batch()
            await self.drain()
            await asyncio.sleep(0)

    def stopped(self) -> None:
        """Emit what was read: complete lines, the last one read to its end."""
        self._read_rest()
        self.end_line()
        while self._lines:
            self._emit_batch()

    def read_byte(self) -> bytes | None:
        """Read the next byte, which must arrive at once or soon. More must not be read, or it would be lost.

        Returns:
            Empty at the end: what was read is the last line. None if the rest of the line did not arrive.
        """
        return b""

    def _read_rest(self) -> None:
        """Read the rest of a line that a chunk has split: half a line would be a message that was never sent."""
        deadline = monotonic() + _REST
        while self._partial or self._text.waits:
            if data := self.read_byte():
                self.take(data)
            elif data is not None:
                return
            if data is None or monotonic() > deadline:
                self.drop(1, _CUT)
                self._partial.clear()
                self._text.begin()

    def _emit_batch(self) -> None:
        batch = self._lines[self._emitted : self._emitted + READ_BATCH]
        self._emitted += READ_BATCH
        if self._emitted >= len(self._lines):
            self._lines = []
            self._emitted = 0
        self.emit(self.as_messages(batch))
