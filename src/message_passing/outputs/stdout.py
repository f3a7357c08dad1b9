"""Messages to standard output, one a line (Message::Passing::Output::STDOUT)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from message_passing.errors import OpenError, OutputClosedError
from message_passing.escaping import escape_json
from message_passing.outputs._descriptor import DescriptorOutput
from message_passing.outputs._lines import as_safe_block

if TYPE_CHECKING:
    from collections.abc import Sequence


class StdoutOutput(DescriptorOutput):
    """Writes each message to standard output, followed by a newline, without delay.

    On a terminal, control and unprintable characters are written as JSON escapes too, unless `escape` is false.

    When its reader has gone (`| head`), the chain ends. While its reader reads nothing (a pager, a stopped
    terminal), inputs wait for it; a stop waits for it for a bounded time, and what is not written then is counted
    (`not written at close`).
    """

    name = "STDOUT"
    takes_blocks = True

    fd: ClassVar[int] = 1
    """The file descriptor to write; a subclass may set another."""

    def on_open(self) -> None:
        """Check that there is something to write to.

        Raises:
            OpenError: standard output is closed, or only for reading.
        """
        if self.fd == 1 and sys.__stdout__ is None:
            raise OpenError("standard output is closed")  # and the number may have been reused
        try:
            access = fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_ACCMODE
            self._terminal = os.isatty(self.fd)
        except OSError as error:
            raise OpenError(f"standard output is closed ({error.strerror})") from error
        if access == os.O_RDONLY:
            raise OpenError("standard output is open for reading only")

    def on_close(self) -> None:
        """Write what is queued, in bounded time."""
        self.finish()

    def write_many(self, messages: list[Any]) -> None:
        """Write the batch with one call, after what the program printed before."""
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it may be None, broken or closed
            sys.stdout.flush()
        self.write_number(self.fd, messages)

    def block_of(self, messages: list[Any]) -> tuple[bytes, Sequence[bytes]]:
        """Escape the batch if this is a terminal."""
        written = super().block_of(messages)
        return as_safe_block(written, escape_json) if self._terminal and self.escape else written

    def refused(self, error: OSError, lines: Sequence[bytes]) -> None:
        """End the chain if the reader has gone; anything else is a failure.

        Raises:
            OutputClosedError: the reader has gone.
        """
        if isinstance(error, BrokenPipeError):
            raise OutputClosedError("standard output was closed by its reader") from error
        error.filename = "standard output"
        super().refused(error, lines)
