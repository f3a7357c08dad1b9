"""What `message-passing replay` sends again: the lines of a file, or the messages of a spool."""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from message_passing.cli.progress import size_for_progress
from message_passing.errors import MessageError
from message_passing.failures import MOST_DATA, is_dead_letter
from message_passing.file_identity import file_identity
from message_passing.spool.rows import SpoolFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from message_passing.spool.reader import SpoolReader

MOST_LINE = 6 * MOST_DATA + (1 << 20)
"""Bytes of the longest line that is read: the largest dead letter, of bytes that JSON all escapes (`\\u0001`)."""

_REPORT_KEYS = ("time", "class", "exception", "component")
"""What has all of these is a report (`failures.report`)."""


class NotSentError(MessageError):
    """A line that is not sent again."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be sent again, and how often it was tried before."""

    message: bytes
    attempts: int = 0


def letter_of_line(line: bytes, reason: str = "") -> Letter | None:
    """The message in a line: that of a dead letter, or else the line itself.

    Args:
        line: JSON, without its end.
        reason: a dead letter whose `exception` does not contain this is left out.

    Returns:
        The message; None if it is left out.

    Raises:
        NotSentError: it is not JSON, or a report that has not the whole message.
    """
    try:
        letter = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotSentError(f"not JSON: {error}") from error
    if not isinstance(letter, dict) or not all(isinstance(letter.get(key), str) for key in _REPORT_KEYS):
        return None if reason else Letter(line)
    if reason not in letter["exception"]:
        return None
    if letter.get("truncated") or (letter.get("count", 1) != 1 and not is_dead_letter(letter)):
        raise NotSentError("it does not contain the whole message: only reports with `dead_letters` do")
    attempts = letter.get("attempts")
    return Letter(_content_of(letter), attempts if isinstance(attempts, int) and attempts > 0 else 0)


def _content_of(letter: dict[str, Any]) -> bytes:
    try:
        if "packed_data_base64" in letter:
            return binascii.a2b_base64(letter["packed_data_base64"], strict_mode=True)
        if "packed_data" in letter:
            return bytes(letter["packed_data"].encode())
        if "stringified_data" in letter:
            json.loads(letter["stringified_data"])
            return bytes(letter["stringified_data"].encode())
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotSentError("its message is not in a report's format: JSON, text or base64") from error
    raise NotSentError("it has no message: it reports something else")


class Lines:
    """The lines of a file: dead letters, or JSON.

    Attributes:
        identity: what tells this file from others.
        size: where it ends, in bytes; 0 where nothing more comes.
        units: what a position in it counts.
    """

    units = "byte"

    def __init__(self, source: BinaryIO, reason: str) -> None:
        """Prepare.

        Args:
            source: the file, open to be read as bytes.
            reason: what the reason of a dead letter must contain.
        """
        self.identity = file_identity(source.fileno())
        self.size = size_for_progress(source)
        self._source, self._reason = source, reason

    def entries(self, position: int) -> Iterator[ReplayItem]:
        """What is there from a position on."""
        if position:
            self._source.seek(position)
        while not self.size or position < self.size:
            line = self._source.readline(MOST_LINE)
            if not line:
                return
            position += len(line)
            if line.isspace():
                continue
            try:
                letter = letter_of_line(line.rstrip(b"\r\n"), self._reason)
            except NotSentError as error:
                yield ReplayItem(
                    position, wrong=f"the line that ends at byte {position} is not sent: {error}"
                )
                continue
            yield (
                ReplayItem(position, [letter.message], tried=letter.attempts)
                if letter
                else ReplayItem(position)
            )

    def done(self, position: int) -> int:
        """How many bytes are before a position."""
        return position


class SpooledMessages:
    """The messages of a spool: see `Lines`."""

    units = "frame"

    def __init__(self, reader: SpoolReader) -> None:
        """Prepare.

        Raises:
            OpenError: it cannot be read.
        """
        self.identity = file_identity(reader.path)
        self.size = reader.content().size
        self._reader, self._done = reader, 0

    def entries(self, position: int) -> Iterator[ReplayItem]:
        """What is there after a number."""
        for frame in self._reader.frames(position):
            if isinstance(frame, SpoolFrame):
                self._done += len(frame.body)
                yield ReplayItem(frame.sequence, frame.messages())
            else:
                yield ReplayItem(frame, wrong=f"frame {frame} is not sent: its checksum is wrong")
        if self._reader.unreadable:
            yield ReplayItem(
                position, wrong="parts of the spool cannot be read: see message-passing spool verify"
            )

    def done(self, _position: int) -> int:
        """How many bytes have been read."""
        return self._done


@dataclass(slots=True)
class ReplayItem:
    """What is sent, or not, as a whole.

    Attributes:
        end: the position behind it.
        messages: what there is to send; none if it is left out.
        tried: how often they were tried before.
        wrong: why it is not sent; empty if it is.
    """

    end: int
    messages: Sequence[bytes] = ()
    tried: int = 0
    wrong: str = ""
