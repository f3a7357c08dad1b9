"""Messages to standard error, one a line (Message::Passing::Output::STDERR)."""

from __future__ import annotations

import contextlib
import errno
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.escaping import ascii_json
from message_passing.outputs._descriptor import DescriptorOutput
from message_passing.outputs._lines import as_safe_block
from message_passing.stderr_line import make_way

if TYPE_CHECKING:
    from collections.abc import Sequence


class StderrOutput(DescriptorOutput):
    """Writes each message to standard error, followed by a newline: the end of the default error chain.

    Only printable ASCII and tabs are written, so that no message can control a terminal: everything else becomes
    JSON escapes, which leave JSON equivalent. `escape` controls that; False writes messages unchanged.

    When standard error is closed, messages are counted as dropped (`closed`), and the chain continues. While its
    reader reads nothing, up to 16 MiB wait for it; more are dropped (`nobody reads`), and so is what is left a second
    after the end (`not written at close`).
    """

    name = "STDERR"

    fd: ClassVar[int] = 2
    """The file descriptor to write; a subclass may set another."""

    def on_close(self) -> None:
        """Write what is queued, in bounded time."""
        self.finish()

    def write_many(self, messages: list[Any]) -> None:
        """Write the batch with one call, after what the program printed before."""
        if self.fd == 2 and sys.__stderr__ is None:
            # closed when the program started: the number may have been reused
            self.drop(messages, "closed")
            return
        make_way()
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it may be None, broken or closed
            sys.stderr.flush()
        self.write_number(self.fd, messages)

    def block_of(self, messages: list[Any]) -> tuple[bytes, Sequence[bytes]]:
        """Escape everything but ASCII."""
        return (
            as_safe_block(super().block_of(messages), ascii_json)
            if self.escape
            else super().block_of(messages)
        )

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Drop messages if there is no reader, which is no reason to stop; anything else is a failure."""
        if error.errno in (errno.EPIPE, errno.EBADF):
            self.drop(lines, "closed")
        else:
            error.filename = "standard error"
            super().refused(error, lines)
