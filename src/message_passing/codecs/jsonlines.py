"""JSON Lines (https://jsonlines.org): many messages in one, a line each. The original has no such thing."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import msgspec

from message_passing.codecs._text import (
    NEWLINE,
    TextEncoder,
    becomes_text,
    checked_block,
    decode_one,
    decoded_block,
    decoded_lines,
)
from message_passing.errors import DecodingError, EncodingError, MessageError
from message_passing.flow import Decoder
from message_passing.lines import Frame, Lines, carried, frames_of
from message_passing.options import option

_BYTES = {bytes, Frame}


class JSONLinesDecoder(Decoder):
    """Makes objects of JSON text with one on each line: as many messages as there are lines.

    A malformed line is counted as failed; the others go on. A message has one report at most, with the number of its
    malformed lines and what is wrong with the first. Empty lines are none; a message without any other is malformed.
    What is not bytes or text is an object already and passes as it is. A message with one line is one message, so
    senders of both kinds, JSON and JSONLines, may send to it.
    """

    name = "JSONLines"

    def on_init(self) -> None:
        """Nobody has said yet that nobody looks."""
        super().on_init()
        self._nobody_looks = False

    def on_open(self) -> None:
        """Look at who comes next."""
        self.on_rewire()

    def on_rewire(self) -> None:
        """Find out whether anybody looks at the objects before they become JSON again: see `JSONDecoder`."""
        self._nobody_looks = all(map(becomes_text, self.outputs()))

    def write_many(self, messages: list[Any]) -> None:
        """Hand on every line: fewer than there were messages are not for that reason filtered."""
        self.emit(self.filter_many(messages))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """The objects in a batch of messages; when a line is not well-formed JSON, go line by line."""
        if not {*map(type, messages)} <= _BYTES:
            return self._line_by_line(messages)
        block = _joined(messages)
        if self._nobody_looks:
            return checked_block(block) or self._line_by_line(messages)
        if objects := decoded_block(block):
            return objects
        try:
            found = [*map(decode_one, block.split(b"\n")[:-1])]
        except Exception:  # noqa: BLE001 - which line it was is found by the careful road
            return self._line_by_line(messages)
        return found if None not in found else self._line_by_line(messages)

    def _line_by_line(self, messages: list[Any]) -> list[Any]:
        found = []
        for message in messages:
            if isinstance(message, str):
                lines: list[Any] = message.split("\n")
            elif isinstance(message, (bytes, bytearray, memoryview)):
                lines = bytes(message).split(b"\n")
            else:
                found.append(message)
                continue
            lines = [line for line in lines if line and not line.isspace()]
            if not lines:
                self.fail(DecodingError("there is no line in it"), [message])
            values, bad, reason = decoded_lines(lines)
            found += values
            if reason:
                self.fail(reason, bad)
        return found


class JSONLinesEncoder(TextEncoder):
    """Puts messages that are ready at the same time into one, as JSON text with a line for each.

    ZeroMQ then has fewer messages to move, and so has whoever takes them: several times the throughput. It
    waits for nothing: a message that comes alone travels alone. What is lost with one of its messages is
    counted as the lines that it has. The receiver needs the decoder JSONLines.
    """

    name = "JSONLines"
    example = MappingProxyType({"size": 16384})

    size: int = option(
        default=65536,
        description="The most bytes that messages are put together to. One that is larger travels alone.",
        ge=1,
    )

    def takes_text(self) -> bool:
        """Yes; a subclass may do something else."""
        return type(self) is JSONLinesEncoder

    def write_many(self, messages: list[Any]) -> None:
        """Hand on what the batch is put together to. They are counted as the messages that they carry."""
        frames = self.filter_many(messages)
        self.metrics.passed += carried(frames) - len(frames)
        self.emit(frames)

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """A batch as few messages."""
        return [*frames_of(self._lines(messages), self.size)]

    def _lines(self, messages: list[Any]) -> Lines:
        if isinstance(messages, Lines):
            return messages
        types = {*map(type, messages)}
        if types == {bytes} and not [message for message in messages if NEWLINE in message]:
            return Lines(messages)
        if types == {dict}:
            try:
                return Lines.of_block(self._encoder.encode_lines(messages))
            except (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError):
                pass  # which message it was is found by the careful road
        texts = []
        for message in messages:
            try:
                texts.append(_on_one_line(self.text_of(message)))
            except MessageError as error:
                self.fail(error, [message])
        return Lines(texts)


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
        raise EncodingError(f"text of several lines that is no JSON cannot be one line: {error}") from error
