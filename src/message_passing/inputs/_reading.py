"""What inputs share: how much they take at once, waiting for a descriptor, cutting text into lines."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError
from message_passing.failures import DATA_LIMIT
from message_passing.flow import Input
from message_passing.options import option

if TYPE_CHECKING:
    from asyncio import Future

BATCH = 1000
"""The most messages that travel together."""

CHUNK = 1 << 18
"""The most bytes that are read at once."""


async def readable(fd: int) -> None:
    """Wait until `fd` has something to read.

    The loop watches it only while somebody waits here: data that back-pressure leaves unread must not
    wake the loop again and again.

    Raises:
        PermissionError: a file, which cannot be waited for and need not be.
    """
    loop = asyncio.get_running_loop()
    ready: Future[None] = loop.create_future()
    loop.add_reader(fd, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _wake(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def how_far(fd: int) -> tuple[int, int] | None:
    """How many bytes of a file have been read, and how many it has; None when all were, or it is no file."""
    try:
        found = os.fstat(fd)
        done = os.lseek(fd, 0, os.SEEK_CUR) if stat.S_ISREG(found.st_mode) else found.st_size
    except OSError:
        return None
    return (done, found.st_size) if done < found.st_size else None


class LineInput(Input):
    """The base of inputs whose messages are lines: `take` what was read, then `await pass_on()`."""

    max_line: int = option(
        default=16 * 1024 * 1024,
        description="The most bytes of a line. A longer one is left out to its end and counted as failed; the report "
        "has its beginning. So a line without an end does not fill the memory.",
        ge=1,
    )

    def on_init(self) -> None:
        """Nothing read yet."""
        super().on_init()
        self._partial = bytearray()  # a line whose end was not read
        self._leaving_out = False  # that line is too long: it is not kept
        self._lines: list[bytes] = []  # whole lines, of which the first `_emitted` have been passed on
        self._emitted = 0

    def as_messages(self, lines: list[bytes]) -> list[Any]:
        """The messages that some lines (without their newlines) make."""
        raise NotImplementedError(f"{type(self).__name__} must define as_messages")

    def take(self, data: bytes) -> None:
        """Cut `data` into lines. Nothing is awaited here: what was read is safe from cancellation."""
        lines = data.split(b"\n")
        last = lines.pop()
        if lines and (self._partial or self._leaving_out):
            self._add(lines.pop(0))
            self.end_line()
        if self.max_line < len(data):
            for line in [line for line in lines if len(line) > self.max_line]:
                self._leave_out(line)
            lines = [line for line in lines if len(line) <= self.max_line]
        self._lines += lines
        if last:
            self._add(last)

    def end_line(self) -> None:
        """There will be no newline for what was read last: it is a line as it is."""
        if self._partial:
            self._lines.append(bytes(self._partial))
            self._partial = bytearray()
        self._leaving_out = False

    def _add(self, piece: bytes) -> None:
        """More of a line whose end was not read."""
        if self._leaving_out:
            return
        self._partial += piece
        if len(self._partial) > self.max_line:
            self._leave_out(self._partial)
            self._partial = bytearray()
            self._leaving_out = True

    def _leave_out(self, line: bytes | bytearray) -> None:
        self.metrics.received += 1
        text = f"a line of more than {self.max_line} bytes (max_line) is left out; this is its beginning"
        self.fail(MessageError(text), [bytes(line[:DATA_LIMIT])])

    async def pass_on(self) -> None:
        """Emit all whole lines, at the pace of what is downstream, and let others run in between."""
        while self._lines:
            self._emit_batch()
            await self.drain()
            await asyncio.sleep(0)

    def stopped(self) -> None:
        """Emit what was read: whole lines, and the beginning of one."""
        self.end_line()
        while self._lines:
            self._emit_batch()

    def _emit_batch(self) -> None:
        batch = self._lines[self._emitted : self._emitted + BATCH]
        self._emitted += BATCH
        if self._emitted >= len(self._lines):
            self._lines = []
            self._emitted = 0
        self.emit(self.as_messages(batch))
