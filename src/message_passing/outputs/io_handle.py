"""Messages to a Python file object (Message::Passing::Output::IO::Handle)."""

from __future__ import annotations

import io
import sys
from types import MappingProxyType
from typing import Any

from message_passing.errors import Fault, OpenError, OptionError
from message_passing.flow import Output
from message_passing.options import option
from message_passing.outputs._lines import as_block, escape_option


class IOHandleOutput(Output):
    """Writes messages to a file object that you give it: anything with `write`, for text or for bytes.

    It is flushed after each batch, and closed by whoever opened it. If `append` does not end
    with a newline, the messages are not lines, and nothing is escaped.
    """

    name = "IO::Handle"
    confirms = "written"
    example = MappingProxyType({"fh": sys.__stderr__, "append": "\n"})

    fh: Any = option(description="The file object.", python_only=True)
    append: str = option(default="\n", description="Text that is written after each message.")
    escape: bool = escape_option()

    def on_init(self) -> None:
        """Check that it can be written to.

        Raises:
            OptionError: it cannot.
        """
        if not callable(getattr(self.fh, "write", None)):
            raise OptionError(Fault(f"{self.label}: option 'fh' must have a `write` method, not {self.fh!r}"))
        self._end = self.append.encode("utf-8", "backslashreplace")

    def on_open(self) -> None:
        """Find out whether it accepts text or bytes.

        Raises:
            OpenError: it is closed.
        """
        self._text = isinstance(self.fh, io.TextIOBase)
        try:
            self.fh.write("" if self._text else b"")
        except TypeError:
            self._text = True
        except ValueError as error:
            raise OpenError(f"cannot write to {self.fh!r}: {error}") from error
        except OSError:
            pass  # a full disk, for instance: it is reported with the messages concerned

    def write_many(self, messages: list[Any]) -> None:
        """Write the batch with one call."""
        block, lines = as_block(self, messages, self._end, escape=self.escape and self._end.endswith(b"\n"))
        if not lines:
            return
        try:
            if self._text:
                self._write_text(block.decode("utf-8", "backslashreplace"))
            else:
                self._write_bytes(block)
            flush = getattr(self.fh, "flush", None)
            if flush:
                flush()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's write raises
            self.fail(error, lines)

    def _write_text(self, text: str) -> None:
        try:
            self.fh.write(text)
        except UnicodeEncodeError as error:  # the handle writes an encoding that lacks a character
            self.fh.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))

    def _write_bytes(self, block: bytes) -> None:
        rest = memoryview(block)
        while rest:
            count = self.fh.write(rest) if len(rest) < len(block) else self.fh.write(block)
            if not isinstance(self.fh, io.RawIOBase):
                return  # only a raw file may write less than it was given
            if not count:
                raise BlockingIOError("it accepts no more at the moment")
            rest = rest[count:]
