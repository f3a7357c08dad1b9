"""Splitting what was read into lines, whatever it is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.errors import MessageError
from message_passing.inputs._encoding import Transcoder


class LineSplitter:
    """The lines of one text, which comes in pieces: `take` them.

    Lines are UTF-8 from here on, whatever encoding they were read in, and without the byte-order mark that may stand
    before the first one. Its bound is `max_line`.
    """

    if TYPE_CHECKING:
        max_line: int

    def begin_lines(self, encoding: str) -> None:
        """Start before the first line.

        Args:
            encoding: see `Transcoder`.
        """
        self._text = Transcoder(encoding)
        self._partial = bytearray()  # a line whose end was not read
        self._leaving_out = False  # that line is too long, and discarded
        self._lines: list[bytes] = []  # whole lines

    def source(self) -> str:
        """The name of its source in messages."""
        return "what is read"

    def notice(self, error: MessageError) -> None:
        """Report what a user should know of its text."""
        raise NotImplementedError(f"{type(self).__name__} must define notice")

    def too_long(self, line: bytes) -> None:
        """A line has more than `max_line` bytes, of which this is at least the beginning."""
        raise NotImplementedError(f"{type(self).__name__} must define too_long")

    def take(self, data: bytes) -> None:
        """Split `data` into lines, without awaiting: what was read is safe from cancellation."""
        data = self._text.decode(data)
        if self._text.notice:
            self._tell_notice()
        lines = data.split(b"\n")
        last = lines.pop()
        if lines and (self._partial or self._leaving_out):
            self._add(lines.pop(0))
            self._end_line()
        if self.max_line < len(data):
            for line in lines:
                if len(line) > self.max_line:
                    self.too_long(line)
                else:
                    self._lines.append(line)
        else:
            self._lines += lines
        if last:
            self._add(last)

    def end_line(self) -> None:
        """End the last line, which has no newline."""
        if rest := self._text.decode(b"", final=True):
            self._add(rest)
        self._end_line()

    def _tell_notice(self) -> None:
        self.notice(MessageError(f"{self.source()} {self._text.notice}"))
        self._text.notice = ""

    def _end_line(self) -> None:
        if self._partial:
            self._lines.append(bytes(self._partial))
            self._partial = bytearray()
        self._leaving_out = False

    def _add(self, piece: bytes) -> None:
        """Add more of a line whose end was not read."""
        if self._leaving_out:
            return
        self._partial += piece
        if len(self._partial) > self.max_line:
            self.too_long(bytes(self._partial))
            self._partial = bytearray()
            self._leaving_out = True
