"""JSON: one object, one line of UTF-8, without a newline, as the original sends and receives it.

Its rules for text are those of JSONLines too.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from message_passing.escaping import SEPARATORS
from message_passing.flow import Decoder, Encoder
from message_passing.json_text import (
    UNREADABLE,
    decode_one,
    decode_text,
    encode_lines,
    encode_one,
    encode_text,
)
from message_passing.lines import Indented, LineBatch, LineBlock, ObjectFrames, ReadLines
from message_passing.options import option
from message_passing.read_fields import field_decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.read_fields import DecodeLines

_OPENING, _CLOSING, NEWLINE = b"{}\n"
_NEL, _LINE, _PARAGRAPH = SEPARATORS

_check = msgspec.json.Decoder(msgspec.Raw).decode_lines
_decode_lines = msgspec.json.Decoder().decode_lines


def checked_lines(messages: list[Any]) -> LineBatch | None:
    """The same messages, if each is bytes with one well-formed JSON object in UTF-8, on one line."""
    if not _look_like_objects(messages):
        return None
    lines = messages if isinstance(messages, LineBatch) else LineBatch.of(messages)
    return None if _read(lines, _check) is None else lines


def checked_block(block: bytes) -> LineBatch | None:
    """The lines of a block that ends with a newline, if each is one well-formed JSON object in UTF-8."""
    return checked_lines(LineBatch.of_block(block))


def decoded_block(block: bytes) -> list[Any] | None:
    """The objects in a block that ends with a newline, if each line is one well-formed JSON object in UTF-8."""
    try:
        found = _decode_lines(block)
    except UNREADABLE:
        return None
    # What is decoded as a block need not be one value a line. It is where every line begins and ends as an
    # object does, and there are as many lines as values: see `_look_like_objects`.
    lines = len(block) - len(block.replace(b"\n", b""))  # takes a sixth of the time of counting them
    framed = block.startswith(b"{") and block.endswith(b"}\n") and block.count(b"}\n{") == lines - 1
    return found if framed and len(found) == lines else None


def _look_like_objects(messages: list[Any]) -> bool:
    """Whether each message is bytes without a line break that begins and ends as an object does.

    If so, and if their block has as many values as lines, each line is one value: within a value
    no `}` is followed by a line break and a `{`.
    """
    try:  # in as few passes as possible, which are what takes the time
        if type(messages) is ObjectFrames:
            return not [one for one in messages if one[-1] != _CLOSING or NEWLINE in one]
        if isinstance(messages, LineBatch):
            return not [one for one in messages if one[0] != _OPENING or one[-1] != _CLOSING]
        if [*map(type, messages)].count(bytes) != len(messages):
            return False
        return not [one for one in messages if one[0] != _OPENING or one[-1] != _CLOSING or NEWLINE in one]
    except IndexError:  # one is empty
        return False


def read_lines(messages: list[Any], decode: DecodeLines) -> ReadLines | None:
    """Messages with the fields that `decode` reads of each, if each is one well-formed JSON object in UTF-8."""
    if not _look_like_objects(messages):
        return None
    lines = messages if type(messages) is ReadLines else ReadLines.of(messages)
    found = _read(lines, decode)
    if found is None:
        return None
    lines.fields = found
    return lines


def read_block(block: bytes, decode: DecodeLines) -> ReadLines | None:
    """The lines of a block that ends with a newline, likewise."""
    return read_lines(ReadLines.of_block(block), decode)


def _read(lines: LineBatch, decode: DecodeLines) -> list[Any] | None:
    """What `decode` finds in each of these lines, which look like objects, if each is one well-formed in UTF-8."""
    try:
        # One check of all lines together costs half of one for each. It does not look at the text in strings, so
        # what is not ASCII is decoded.
        if b"\r" in lines.block:  # JSON allows it between its parts, and some readers end a line there
            return None
        if len(found := decode(lines.block)) != len(lines):
            return None
        if not lines.block.isascii():
            text = b"".join([line for line in lines if not line.isascii()]).decode()
            if _NEL in text or _LINE in text or _PARAGRAPH in text:
                return found
    except UNREADABLE:
        return None
    lines.checked = True
    return found


class TextEncoder(Encoder):
    """Encodes each message as JSON text, on one line. Bytes are encoded already: they pass unchanged."""

    def takes_text(self) -> bool:
        """Whether checked text can stand for the object."""
        return False

    def text_of(self, message: Any) -> bytes:
        """The text of one message.

        Raises:
            EncodingError: it contains something that has no JSON form, or contains itself.
        """
        return message if isinstance(message, bytes) else encode_text(message)


class JSONDecoder(Decoder):
    """Decodes JSON text to an object. Anything but bytes or text is an object already and passes unchanged."""

    name = "JSON"
    takes_frames = True

    def on_init(self) -> None:
        """Start with no failures."""
        super().on_init()
        self._reads: DecodeLines | None = None
        self._frames = self._lines = 0

    def on_rewire(self) -> None:
        """Prepare to read what the filters after this read."""
        self._reads = field_decoder(self.wiring.reads)

    def fail(self, error: BaseException, messages: Sequence[Any], count: int | None = None) -> None:
        """Count failed messages that appear to carry several: see `summary`."""
        for message in messages:
            if isinstance(message, bytes) and b"}\n{" in message:
                self._frames += 1
                self._lines += message.rstrip(b"\n").count(b"\n") + 1
        super().fail(error, messages, count)

    def summary(self) -> list[str]:
        """How many messages were lost with those that carry several, which need the decoder JSONLines."""
        if not self._frames:
            return []
        which = f"{self._frames} that failed had several lines, {self._lines} in all"
        return [f"{which}: messages that carry several are for the decoder JSONLines"]

    def filter(self, message: Any) -> Any:
        """Decode one message.

        Raises:
            DecodingError: it is not JSON, not UTF-8, or nested too deeply.
        """
        return decode_text(message) if isinstance(message, (bytes, bytearray, memoryview, str)) else message

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Decode a batch; when something in it is not plain well-formed JSON, go one by one."""
        if self.wiring.text and (lines := checked_lines(messages)):
            return lines
        if self._reads and (lines := read_lines(messages, self._reads)):
            return lines
        try:
            found = [*map(decode_one, messages)]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)
        return found if None not in found else super().filter_many(messages)


class JSONEncoder(TextEncoder):
    """Encodes an object as JSON text, in UTF-8 on one line. Bytes count as encoded: they pass unchanged.

    Text becomes JSON text too, in quotes: a line break in it is escaped. To pass text unchanged, as the original
    does, use the encoder Null.

    Supported besides the types of JSON: dates and times (ISO 8601), UUIDs, decimals, enums, sets, bytes (base64),
    dataclasses, msgspec and attrs objects, paths, IP addresses, lazy strings, scalars, arrays, timestamps,
    Series and DataFrames of numpy and pandas, and anything with `to_dict`, `__json__`, pydantic's
    `model_dump`, or the original's `to_hash` or `pack`. A subclass of a string, number, bytes or time is
    written as its base type is. NaN and infinities become null; a lone surrogate becomes the text of its escape.
    """

    name = "JSON"
    example = MappingProxyType({"pretty": True})

    pretty: bool = option(
        default=False,
        description="Break and indent the text over several lines, which every output keeps.",
    )

    def takes_text(self) -> bool:
        """Whether checked text can stand for the object: not if the text would be indented."""
        return not self.pretty

    def filter(self, message: Any) -> bytes:
        """Encode one message.

        Raises:
            EncodingError: it contains something that has no JSON form, or contains itself.
        """
        text = self.text_of(message)
        if not self.pretty or isinstance(message, bytes):
            return text
        return Indented(msgspec.json.format(text, indent=3))

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Encode a batch of dicts at full speed; when it is anything else, go one by one."""
        if isinstance(messages, LineBatch) or (types := {*map(type, messages)}) == {bytes}:
            return messages
        if self.pretty or types != {dict}:
            return super().filter_many(messages)
        try:
            if self.wiring.blocks:
                return LineBlock(encode_lines(messages), len(messages))  # type: ignore[return-value]
            return [*map(encode_one, messages)]
        except Exception:  # noqa: BLE001 - which message it was is found by the careful road
            return super().filter_many(messages)
