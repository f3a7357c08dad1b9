"""Joining a batch of messages to one block of lines, and tracking how much of it was written."""

from __future__ import annotations

import errno
import os
import select
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from message_passing.delivery import NO_HOLD, Hold
from message_passing.encoded import all_as_bytes
from message_passing.escaping import escape_breaks, has_breaks, has_other_breaks, has_separators, is_unbroken
from message_passing.lines import Indented, LineBatch, LineBlock, MultiMessage, ObjectFrames, message_count
from message_passing.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.component import Component


LINE_END = b"\n"

_AT_A_GLANCE = 1 << 20
"""The largest block, in bytes, whose messages are joined once more for a check, which takes as much memory again."""


def escape_option() -> Any:
    """The option `escape` of an output that writes lines."""
    return option(
        default=True,
        description="Escape line breaks within a message (`\\n`). False writes messages unchanged, "
        "as the original does: one with a line break spans several lines.",
    )


def as_block(
    component: Component, messages: Sequence[Any], end: bytes = LINE_END, *, escape: bool = True
) -> tuple[bytes, Sequence[bytes]]:
    """A batch as one block, each message followed by `end`, and the messages that are in it.

    Args:
        component: counts messages that are neither bytes nor text as failed.
        messages: the batch.
        end: written after each.
        escape: make each message one line: see `message_passing.escaping` for what breaks a line. A frame of several
            messages stays as many lines, and text that was indented on purpose keeps its line breaks.
    """
    lines: Sequence[bytes]
    if isinstance(messages, (LineBatch, LineBlock, ObjectFrames)) and end == LINE_END:
        lines, block = messages, messages.block
    else:
        lines = all_as_bytes(component, messages)
        block = end.join([*lines, b""])
    if escape and _is_broken(block, lines):
        lines = [*map(_one_line, lines)]
        block = end.join([*lines, b""])
    return block, lines


def _is_broken(block: bytes, lines: Sequence[bytes]) -> bool:
    if isinstance(lines, LineBatch) and lines.checked:
        return False
    if isinstance(lines, LineBlock):
        return has_separators(block) if lines.checked else has_other_breaks(block)
    # Few messages have any line break, and to join them once more costs half of counting the newlines of the block.
    few = len(block) <= _AT_A_GLANCE and bool(lines) and type(lines[0]) is bytes  # a frame has newlines
    return not (few and is_unbroken(lines, len(block))) and has_breaks(block, message_count(lines))


def as_safe_block(
    written: tuple[bytes, Sequence[bytes]], escape: Callable[[str], str]
) -> tuple[bytes, Sequence[bytes]]:
    """The result of `as_block`, escaped for a terminal; bytes that are not UTF-8 are escaped too."""
    lines = [escape(line.decode("utf-8", "backslashreplace")).encode() for line in written[1]]
    return b"\n".join([*lines, b""]), lines


def _one_line(message: bytes) -> bytes:
    own = isinstance(message, Indented) or (
        isinstance(message, MultiMessage) and message.count(LINE_END) == message.lines - 1
    )
    if not has_breaks(message + LINE_END, message.count(LINE_END) + 1 if own else 1):
        return message
    return escape_breaks(message, newlines=not own)


def write_all(fd: int, data: bytes) -> tuple[int, OSError | None]:
    """Write all of `data`, waiting where a descriptor is non-blocking.

    Returns:
        How many bytes were written, and the error that prevented the rest.
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


def ends_within_a_line(fd: int) -> bool:
    """Whether a file has been left without its last newline: by a process that was killed, or had no room for it.

    It is read through the descriptor's own name (proc_pid_fd(5)), so that it is this file, whatever its path leads to
    by now. A file that may be written but not read, or is not a regular file, counts as complete.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        reader = os.open(f"/dev/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pread(reader, 1, found.st_size - 1) not in (b"", LINE_END)
    except OSError:
        return False
    finally:
        os.close(reader)


def unfinished(lines: Sequence[bytes], written: int) -> Sequence[bytes]:
    """The lines of a block that are not in its first `written` bytes; only a last newline may be missing."""
    end = 0
    for index, line in enumerate(lines):
        start, end = end, end + len(line)
        if written <= start or written < end:
            return lines[index:]
        end += 1
    return []


@dataclass(slots=True)
class Queued:
    """A block of lines, of which some bytes have been written."""

    data: bytes
    lines: Sequence[bytes]
    repair: int = 0  # bytes before the first line
    done: int = 0
    hold: Hold = NO_HOLD  # while it is queued

    def unfinished(self) -> Sequence[bytes]:
        """The lines that no reader has received completely."""
        return unfinished(self.lines, self.done - self.repair)

    def is_torn(self) -> bool:
        """Whether the part that was written ends within a line."""
        return bool(self.done) and not self.data.endswith(b"\n", 0, self.done)

    def again(self) -> Queued:
        """The rest of it, from the start of its first incomplete line, for a new reader."""
        lines = self.unfinished()
        return Queued(b"\n".join([*lines, b""]), lines, hold=self.hold) if self.done else self


def _wait_for_room(fd: int) -> None:
    poll = select.poll()  # select.select takes no descriptor above 1023
    poll.register(fd, select.POLLOUT)
    poll.poll()
