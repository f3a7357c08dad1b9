"""JSON Lines (https://jsonlines.org): many messages in one, a line each. The original has no such codec."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.codecs.json import (
    NEWLINE,
    TextEncoder,
    checked_block,
    decoded_block,
    read_block,
)
from message_passing.errors import DecodingError, EncodingError, MessageError
from message_passing.flow import Decoder
from message_passing.json_text import (
    NULL_REFUSED,
    UNREADABLE,
    UNWRITABLE,
    decode_one,
    encode_lines,
    malformed,
)
from message_passing.lines import LineBatch, MultiMessage, frames_of, message_count
from message_passing.options import option
from message_passing.read_fields import field_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.read_fields import DecodeLines

_BYTES = {bytes, MultiMessage}
_TEXTS = (bytes, bytearray, memoryview, str)

_PIECE = 1 << 18
"""Bytes of text that are decoded at once: lines of `{}` take twenty times as much memory as objects."""


class _Malformed:
    """The malformed lines of a message.

    Attributes:
        count: how many.
        lines: all of them, or only the first.
        reason: why the first is malformed.
    """

    def __init__(self, *, keeps_all: bool) -> None:
        self.count = 0
        self.lines: list[Any] = []
        self._keeps_all = keeps_all
        self.reason: DecodingError | None = None

    def add(self, line: Any, error: Exception | None) -> None:
        """One more: not JSON, for this reason, or null."""
        if not self.count:
            self.reason = malformed(error, line) if error else DecodingError(NULL_REFUSED)
        if not self.count or self._keeps_all:
            self.lines.append(line)
        self.count += 1


def _decoded_lines(lines: list[Any], faulty: _Malformed) -> list[Any]:
    """The values of lines; malformed lines are added to `faulty`."""
    found: list[Any] = []
    for line in lines:
        try:
            value = decode_one(line)
        except UNREADABLE as error:
            faulty.add(line, error)
        else:
            if value is None:
                faulty.add(line, None)
            else:
                found.append(value)
    return found


class JSONLinesDecoder(Decoder):
    """Decodes JSON text with one object on each line: as many messages as there are lines.

    A malformed line is counted as failed; the others pass. A message has one report at most, with the number of its
    malformed lines and what is wrong with the first. Empty lines are skipped; a message with no other is malformed.
    Anything but bytes or text is an object already and passes unchanged. A message with one line is one message, so
    senders of both kinds, JSON and JSONLines, may send to it.
    """

    name = "JSONLines"

    def on_init(self) -> None:
        """Nothing is known yet of what filters read."""
        super().on_init()
        self._reads: DecodeLines | None = None

    def on_rewire(self) -> None:
        """Prepare to read what the filters after this read."""
        self._reads = field_decoder(self.wiring.reads)

    def write_many(self, messages: list[Any]) -> None:
        """Pass on every line: if these are fewer than there were messages, none counts as filtered.

        A small text can make many objects, each of which takes up much more memory than its line. So large messages
        are decoded and passed on a piece at a time.
        """
        if _size(messages) <= _PIECE:
            self.emit(self.filtered(messages))
            return
        batch: list[Any] = []
        room = _PIECE
        for message in messages:
            size = _size([message])
            if size > room:
                self._emit_some(batch)
                batch, room = [], _PIECE
            if size > _PIECE:
                for found in self._in_pieces(message):
                    self.emit(found)
            else:
                batch.append(message)
                room -= size
        self._emit_some(batch)

    def _emit_some(self, messages: list[Any]) -> None:
        if messages:
            self.emit(self.filtered(messages))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """The objects in a batch of messages; when a line is not well-formed JSON, go message by message."""
        if {*map(type, messages)} <= _BYTES and (found := self._whole(_joined(messages))):
            return found
        return [
            value
            for message in messages
            for found in self._in_pieces(message, reads=False)
            for value in found
        ]

    def _whole(self, block: bytes, *, reads: bool = True) -> list[Any] | None:
        """The objects, or checked text, of a block of lines, if each is a message.

        Args:
            block: the lines.
            reads: their text, with the fields that filters read, will do: it is passed on by itself.
        """
        if self.wiring.text:
            return checked_block(block)
        if reads and self._reads and (lines := read_block(block, self._reads)):
            return lines
        if objects := decoded_block(block):
            return objects
        try:
            found = [*map(decode_one, block.split(b"\n")[:-1])]
        except Exception:  # noqa: BLE001 - which line it was is found by the careful road
            return None
        return found if None not in found else None

    def _in_pieces(self, message: Any, *, reads: bool = True) -> Iterator[list[Any]]:
        """The objects of one message, some at a time; its errors are reported at its end. `reads`: see `_whole`."""
        if not isinstance(message, _TEXTS):
            yield [message]
            return
        faulty, empty = _Malformed(keeps_all=self.dead_letters), True
        for piece in _pieces(message if isinstance(message, str) else bytes(message)):
            if isinstance(piece, bytes) and (found := self._whole(_joined([piece]), reads=reads)):
                empty = False
                yield found
                continue
            lines: list[Any] = [*piece.split("\n")] if isinstance(piece, str) else [*piece.split(b"\n")]
            lines = [line for line in lines if line and not line.isspace()]
            empty = empty and not lines
            yield _decoded_lines(lines, faulty)
        if empty:
            self.fail(DecodingError("it has no lines"), [message])
        elif faulty.reason:
            count = None if len(faulty.lines) == faulty.count else faulty.count
            self.fail(faulty.reason, faulty.lines, count)


def _size(messages: list[Any]) -> int:
    """The total length of these texts; anything that is not text counts as 0."""
    try:
        return sum(map(len, messages))
    except TypeError:
        return sum(len(message) for message in messages if isinstance(message, _TEXTS))


def _pieces(text: Any) -> Iterator[Any]:
    """A text, cut at the ends of lines."""
    newline = "\n" if isinstance(text, str) else b"\n"
    start = 0
    while start < len(text) or not start:
        end = start + _PIECE
        if end < len(text):
            end = text.rfind(newline, start, end) + 1 or text.find(newline, start) + 1 or len(text)
        yield text[start:end]
        start = end


class JSONLinesEncoder(TextEncoder):
    """Puts messages that are ready at the same time into one, as JSON text with a line for each.

    ZeroMQ and the receiver then have fewer messages to move: several times the throughput. It
    does not wait: a message that comes alone travels alone. What is lost with one of its messages is
    counted as the number of its lines. The receiver needs the decoder JSONLines.
    """

    name = "JSONLines"
    example = MappingProxyType({"size": 16384})

    size: int = option(
        default=65536,
        description="The most bytes of a frame. A larger message gets a frame of its own.",
        ge=1,
    )

    def takes_text(self) -> bool:
        """Always."""
        return True

    def write_many(self, messages: list[Any]) -> None:
        """Pass on the frames that the batch is joined to. They are counted as the messages that they carry."""
        frames = self.filtered(messages)
        if frames:
            self.hand_to(self._next, frames, message_count(frames))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Join a batch to few messages."""
        return [*frames_of(self._lines(messages), self.size)]

    def _lines(self, messages: list[Any]) -> LineBatch:
        if isinstance(messages, LineBatch):
            return messages
        types = {*map(type, messages)}
        if types == {bytes} and not [message for message in messages if NEWLINE in message]:
            return LineBatch(messages)
        if types == {dict}:
            try:
                return LineBatch.of_block(encode_lines(messages))
            except UNWRITABLE:
                pass  # encoding one by one finds which message it was
        texts = []
        for message in messages:
            try:
                texts.append(_on_one_line(self.text_of(message)))
            except MessageError as error:
                self.fail(error, [message])
        return LineBatch(texts)


def _joined(frames: list[bytes]) -> bytes:
    """All lines of some frames, whose last ones may or may not have their newline."""
    if [frame for frame in frames if frame.endswith(b"\n")]:
        return b"".join([frame if frame.endswith(b"\n") else frame + b"\n" for frame in frames])
    return b"\n".join([*frames, b""])


def _on_one_line(text: bytes) -> bytes:
    if NEWLINE not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except msgspec.MsgspecError as error:
        raise EncodingError(
            f"text of several lines that is not JSON cannot become one line: {error}"
        ) from error
