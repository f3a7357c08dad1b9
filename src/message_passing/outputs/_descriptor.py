"""Outputs that write lines to a file descriptor, whether or not it has a reader."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.errors import OutputClosedError
from message_passing.flow import Output
from message_passing.output import running_loop
from message_passing.outputs._channel import Channel
from message_passing.outputs._lines import Queued, as_block, escape_option, write_all

if TYPE_CHECKING:
    from collections.abc import Sequence

WAITING_LINES_BYTES = 16 << 20
"""The most bytes of lines that wait for a reader, from inputs that cannot wait; a single batch may have more."""

ROOM_BYTES = 64 << 10
"""Bytes of lines that may wait before inputs wait too: the capacity of a pipe (pipe(7))."""

AT_CLOSE = 1.0
"""Seconds that closing waits for a reader to read what is queued."""

WITHOUT_READER = 5.0
"""Seconds that the end waits for a reader to open a named pipe that has none."""

NOBODY_READS, NOT_WRITTEN = "nobody reads", "not written at close"
"""Reasons for dropping lines: the queue was full, or closing could wait no longer."""

_WRITE_PATIENCE = 0.01
"""Seconds that a write itself waits for room: an active reader makes some within that, without the loop."""

_LOOK = 0.1
"""Seconds between two checks for a reader."""


class DescriptorOutput(Output):
    """The base of outputs that write lines to a file descriptor, with one system call a batch.

    A file is written at once. What can block (a pipe, a terminal, a socket) never holds up the event loop: what
    it does not accept is queued, and `drain` waits until it has been accepted, so that inputs wait for it.
    """

    confirms = "written"

    escape: bool = escape_option()

    def on_init(self) -> None:
        """Start with nothing written."""
        super().on_init()
        self._lock = threading.RLock()
        self._torn = False  # the last thing written was cut off before its newline
        self._channel: Channel | None = None  # None: no reader yet
        self._nobody = False  # its reader has gone
        self._queue: deque[Queued] = deque()
        self._in_loop = (
            False  # whether it has been used within an event loop: then it never blocks outside of one
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._gone: OutputClosedError | None = None  # found when it could not be raised to a caller

    def held(self) -> int:
        """The messages that are queued."""
        return sum(len(queued.lines) for queued in self._queue)

    def write_lines(self, messages: list[Any]) -> None:
        """Write a batch, or queue it; what cannot be written goes to `refused`."""
        block, lines = self.block_of(messages)
        if not lines:
            return
        with self._lock:  # other threads write through a log handler
            if self._gone:
                raise self._gone
            if self._queue:
                self._flush()
            repair = int(self._torn and not self._queue)
            queued = Queued(b"\n" + block if repair else block, lines, repair)
            if self._queue or not self._written(queued):
                self._enqueue(queued)

    def write_number(self, fd: int, messages: list[Any]) -> None:
        """Write a batch to a descriptor that we do not own: its number may have been reused for another file."""
        try:
            found = os.fstat(fd)
            if self._channel is None or self._channel.identity != (found.st_dev, found.st_ino):
                self.take_over(Channel(fd))
        except OSError as error:
            self.refused(error, self.block_of(messages)[1])
            return
        self.write_lines(messages)

    def _written(self, queued: Queued) -> bool:
        """Write a block; whether it is finished."""
        channel = self._channel
        if channel is None:
            return False
        if channel.may_stand and self._is_in_loop():
            return self._write(channel, queued, _WRITE_PATIENCE)
        queued.done, error = write_all(channel.given, queued.data)
        return self._settle(queued, error)

    def block_of(self, messages: list[Any]) -> tuple[bytes, Sequence[bytes]]:
        """The block to write for a batch, and the messages in it."""
        return as_block(self, messages, escape=self.escape)

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Count and report what the system would not write."""
        self.fail(error, lines)

    def look_for_reader(self) -> None:
        """If there is no reader, check for one, and `take_over` the channel to it."""

    def waits_for_another(self, *, first: bool) -> bool:  # noqa: ARG002 - for those that can
        """Handle the loss of the reader; return whether another one may come, for which lines are kept.

        Args:
            first: whether this was noticed only now, and has not been reported.
        """
        return False

    def opened_again(self, error: OSError) -> bool:  # noqa: ARG002 - for those that can
        """Whether the failed file has been opened again: then the rest is written once more."""
        return False

    keeps_written = False  # without an annotation, which would make an option of it
    """Whether written lines are not safe yet: then `keep_written` and `make_room` are called."""

    def keep_written(self, lines: Sequence[bytes], size: int) -> None:
        """These lines were written, within the call that passed them."""

    async def make_room(self) -> None:
        """Wait until more may be written."""

    async def drain(self) -> None:
        """Wait until there is room; at the end until all has been accepted, for a bounded time without a reader.

        Raises:
            OutputClosedError: the reader has gone.
        """
        self._in_loop = True
        if self.keeps_written:
            await self.make_room()
        ended = 0.0
        while self._queue and (self.ending or self._waiting() > ROOM_BYTES):
            self._watch()
            room = asyncio.get_running_loop().create_future()
            self._waiters.add(room)
            await asyncio.wait([room], timeout=_LOOK)
            self._waiters.discard(room)
            if self._queue and (self._channel is None or self._nobody) and self.ending:
                ended = ended or monotonic()
                if monotonic() - ended > WITHOUT_READER:
                    return
        if self._gone:
            raise self._gone

    def take_over(self, channel: Channel | None) -> None:
        """Write to another descriptor from now on: a line that was begun is written again from its start."""
        self._unwatch()
        if self._channel:
            self._channel.close()
        self._channel, self._nobody = channel, False
        if self._queue:
            self._queue[0] = self._queue[0].again()

    def finish(self) -> None:
        """Write what is queued, in bounded time, and drop what is left; then close what was opened here."""
        self._in_loop = True
        deadline = monotonic() + AT_CLOSE
        with self._lock:
            with suppress(OutputClosedError):  # counted, and there is no caller left to raise to
                while self._queue:
                    self._flush()
                    left = deadline - monotonic()
                    if left <= 0 or self._nobody or self._channel is None or not self._channel.has_room(left):
                        break
            self._drop_queue(NOT_WRITTEN)
            self.take_over(None)

    def _drop_queue(self, reason: str) -> None:
        while self._queue:
            queued = self._queue.popleft()
            self._torn = self._torn or queued.is_torn()
            with queued.hold.resumed(last=True):
                self.drop(queued.unfinished(), reason)

    def _is_in_loop(self) -> bool:
        self._in_loop = self._in_loop or running_loop() is not None
        return self._in_loop

    def _waiting(self) -> int:
        """Bytes that are queued."""
        return sum(len(queued.data) - queued.done for queued in self._queue)

    def _enqueue(self, queued: Queued) -> None:
        if self._queue and self._waiting() + len(queued.data) > WAITING_LINES_BYTES:
            self.drop(queued.lines, NOBODY_READS)
            return
        queued.hold = self.hold()
        self._queue.append(queued if self._channel else queued.again())
        self._watch()

    def _write(self, channel: Channel, queued: Queued, patience: float = 0) -> bool:
        """Write what fits; whether it is finished."""
        rest = memoryview(queued.data)[queued.done :]
        deadline = 0.0
        while rest:
            try:
                count = channel.write(rest)
            except BlockingIOError:
                now = monotonic() if patience else 0.0
                deadline = deadline or now + patience
                if now >= deadline or not channel.has_room(deadline - now):
                    return False
            except OSError as error:
                return self._settle(queued, error)
            else:
                self._nobody = False
                queued.done += count
                rest = rest[count:]
        return self._settle(queued, None)

    def _settle(self, queued: Queued, error: OSError | None) -> bool:
        """Handle that all was written, or that the system refused it; False if it is kept for another reader."""
        if isinstance(error, BrokenPipeError) and self.waits_for_another(first=not self._nobody):
            self._nobody = True  # and the pipe keeps its contents, since it stays open here
            return False
        self._nobody = False
        if self.keeps_written and queued.done:
            lines, left = queued.lines, queued.unfinished() if error else ()
            self.keep_written(lines[: len(lines) - len(left)] if left else lines, queued.done)
        if error and self.opened_again(error):
            self._torn = False
            return self._written(queued.again())
        if queued.done:
            self._torn = queued.is_torn()
        if error:
            self.refused(error, queued.unfinished())
        return True

    def _flush(self) -> None:
        """Write what is queued, as far as there is room.

        Raises:
            OutputClosedError: the reader has gone; what was queued has been counted as dropped.
        """
        if self._channel is None:
            self.look_for_reader()
        while self._queue and self._channel:
            queued = self._queue[0]
            try:
                with queued.hold.resumed():
                    if not self._write(self._channel, queued):
                        return
            except OutputClosedError:
                self._drop_queue("closed")
                raise
            self._queue.popleft()
            queued.hold.release()

    def _watch(self) -> None:
        """Have the loop continue writing as soon as there is room, or a reader."""
        try:
            loop = self._loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._loop and self._loop.is_running():  # in another thread
                self._loop.call_soon_threadsafe(self._watch)
            return
        number = self._channel.fileno() if self._channel and not self._nobody else -1
        if self._watched == (loop, number):
            return
        self._unwatch()
        self._watched = loop, number
        if number >= 0:
            loop.add_writer(number, self._on_room)
        else:
            loop.call_later(_LOOK, self._on_time, loop)

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, None
        if watched and watched[1] >= 0 and not watched[0].is_closed():
            watched[0].remove_writer(watched[1])

    def _on_time(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._watched == (loop, -1):
            self._watched = None
            self._on_room()

    def _on_room(self) -> None:
        with self._lock:
            try:
                self._flush()
            except OutputClosedError as error:
                self._gone = error
            if self._queue:
                self._watch()
            else:
                self._unwatch()
            if self._waiting() > ROOM_BYTES:
                return
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
