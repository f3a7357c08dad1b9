"""From a batch of messages to one block of lines, and to a file descriptor."""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Any

from message_passing.errors import EncodingError
from message_passing.flow import Output
from message_passing.lines import Block, Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.component import Component


def as_bytes(message: Any) -> bytes:
    """Bytes as they are, text as UTF-8.

    Raises:
        EncodingError: it is neither, so an encoder is missing.
    """
    if isinstance(message, str):
        return message.encode("utf-8", "backslashreplace")
    if isinstance(message, bytes):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    raise EncodingError(
        f"an object of type {type(message).__name__} cannot be written as it is: "
        "put an encoder before this output (JSON is the usual one)"
    )


def all_as_bytes(component: Component, messages: Sequence[Any]) -> Sequence[bytes]:
    """A batch as bytes; those that are neither bytes nor text are failed, in the name of `component`."""
    if isinstance(messages, (Lines, Block)) or {*map(type, messages)} == {bytes}:
        return messages
    taken: list[bytes] = []
    refused: list[Any] = []
    reason: EncodingError | None = None
    for message in messages:
        try:
            taken.append(as_bytes(message))
        except EncodingError as error:
            reason = reason or error
            refused.append(message)
    if reason:
        component.fail(reason, refused)
    return taken


def as_block(
    component: Component, messages: Sequence[Any], end: bytes = b"\n"
) -> tuple[bytes, Sequence[bytes]]:
    """A batch as one block, each message followed by `end`, and the messages that are in it."""
    if isinstance(messages, (Lines, Block)) and end == b"\n":
        return messages.block, messages
    lines = all_as_bytes(component, messages)
    return end.join([*lines, b""]), lines


def write_all(fd: int, data: bytes) -> tuple[int, OSError | None]:
    """Write all of `data`, waiting where a descriptor is non-blocking.

    Returns:
        How many bytes were written, and what kept the rest from it.
    """
    rest = memoryview(data)
    while rest:
        try:
            count = os.write(fd, rest)
        except BlockingIOError:
            _wait_for_room(fd)
        except OSError as error:
            return len(data) - len(rest), error
        else:
            if not count:
                return len(data) - len(rest), OSError(errno.EIO, "the system wrote nothing")
            rest = rest[count:]
    return len(data), None


def unfinished(lines: Sequence[bytes], written: int) -> Sequence[bytes]:
    """Those of a block's lines that are not in its first `written` bytes; only a last newline may lack."""
    end = 0
    for index, line in enumerate(lines):
        start, end = end, end + len(line)
        if written <= start or written < end:
            return lines[index:]
        end += 1
    return []


class DescriptorOutput(Output):
    """The base of outputs that write lines to a file descriptor, with one system call a batch."""

    _torn = False  # the last thing written was cut off before its newline

    def write_lines(self, fd: int, messages: list[Any]) -> None:
        """Write a batch; what cannot be written goes to `refused`."""
        block, lines = as_block(self, messages)
        if not lines:
            return
        repair = b"\n" if self._torn else b""
        if repair:
            block = repair + block
        written, error = write_all(fd, block)
        if written:
            self._torn = not block.endswith(b"\n", 0, written)
        if error:
            self.refused(error, unfinished(lines, written - len(repair)))

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Count and report what the system would not write."""
        self.fail(error, lines)


def _wait_for_room(fd: int) -> None:
    poll = select.poll()  # select.select takes no descriptor above 1023
    poll.register(fd, select.POLLOUT)
    poll.poll()
