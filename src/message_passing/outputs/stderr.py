"""Messages to standard error, one a line (Message::Passing::Output::STDERR)."""

from __future__ import annotations

import contextlib
import errno
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.outputs._lines import DescriptorOutput

if TYPE_CHECKING:
    from collections.abc import Sequence


class StderrOutput(DescriptorOutput):
    """Writes each message to standard error, followed by a newline: where the error chain ends by default.

    When standard error is closed, messages are counted as dropped (`closed`), and the chain goes on.
    """

    name = "STDERR"

    fd: ClassVar[int] = 2
    """The file descriptor that is written; a subclass may name another."""

    def write_many(self, messages: list[Any]) -> None:
        """One write for the batch, after what the program printed before."""
        if self.fd == 2 and sys.__stderr__ is None:
            # closed when the program started: the number may be something else's by now
            self.drop(messages, "closed")
            return
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it may be None, broken or closed
            sys.stderr.flush()
        self.write_lines(self.fd, messages)

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """Nobody listens, which is no reason to stop; anything else is a failure."""
        if error.errno in (errno.EPIPE, errno.EBADF):
            self.drop(lines, "closed")
        else:
            error.filename = "standard error"
            super().refused(error, lines)
