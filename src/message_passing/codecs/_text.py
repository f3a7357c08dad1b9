"""JSON text: code shared by the codecs JSON and JSONLines."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from message_passing.errors import DecodingError, EncodingError
from message_passing.escaping import SEPARATORS
from message_passing.flow import Encoder
from message_passing.jsonable import sanitize, to_jsonable
from message_passing.lines import LineBatch

_OPENING, _CLOSING, NEWLINE = b"{}\n"
_NEL, _LINE, _PARAGRAPH = SEPARATORS

_check = msgspec.json.Decoder(msgspec.Raw).decode_lines
_decoder = msgspec.json.Decoder()
decode_one = _decoder.decode


_NULL = "JSON null is not a message: it would be taken for one that was dropped"


def decode_text(message: Any) -> Any:
    """The value of one JSON text.

    Raises:
        DecodingError: it is not JSON, not UTF-8, nested too deeply, or null.
    """
    try:
        value = decode_one(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise _malformed(error, message) from error
    if value is None:
        raise DecodingError(_NULL)
    return value


class Malformed:
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
            self.reason = _malformed(error, line) if error else DecodingError(_NULL)
        if not self.count or self._keeps_all:
            self.lines.append(line)
        self.count += 1


def decoded_lines(lines: list[Any], malformed: Malformed) -> list[Any]:
    """The values of lines; malformed lines are added to `malformed`."""
    found: list[Any] = []
    for line in lines:
        try:
            value = decode_one(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            malformed.add(line, error)
        else:
            if value is None:
                malformed.add(line, None)
            else:
                found.append(value)
    return found


def _malformed(error: Exception, text: Any) -> DecodingError:
    made = DecodingError(
        f"malformed JSON: {str(error).removeprefix('JSON is malformed: ')}{_hint(error, text)}"
    )
    made.__cause__ = error
    return made


_PLACE = re.compile(r"\(byte (\d+)\)\Z")


def _hint(error: Exception, text: Any) -> str:
    """A hint where the text has single quotes instead of JSON's double quotes."""
    place = _PLACE.search(str(error))
    if place:
        octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else memoryview(text)
        if bytes(octets[int(place[1]) :][:1]) == b"'":
            return ": JSON takes double quotes, not single ones"
    return ""


def checked_lines(messages: list[Any]) -> LineBatch | None:
    """The same messages, if each is bytes with one well-formed JSON object in UTF-8, on one line."""
    if isinstance(messages, LineBatch):
        return _sound(messages)
    if {*map(type, messages)} != {bytes} or [m for m in messages if NEWLINE in m]:
        return None
    return _sound(LineBatch(messages))


def checked_block(block: bytes) -> LineBatch | None:
    """The lines of a block that ends with a newline, if each is one well-formed JSON object in UTF-8."""
    return _sound(LineBatch.of_block(block))


def decoded_block(block: bytes) -> list[Any] | None:
    """The objects in a block that ends with a newline, if each line is one well-formed JSON object in UTF-8."""
    try:
        found = _decoder.decode_lines(block)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    # What is decoded as a block need not be one value a line. It is where every line begins and ends as an
    # object does, and there are as many lines as values: see `_look_like_objects`.
    lines = len(block) - len(block.replace(b"\n", b""))  # takes a sixth of the time of counting them
    framed = block.startswith(b"{") and block.endswith(b"}\n") and block.count(b"}\n{") == lines - 1
    return found if framed and len(found) == lines else None


def _look_like_objects(lines: list[bytes]) -> bool:
    """Whether each line begins and ends as an object does.

    If so, and if their block has as many values as lines, each line is one value: within a value
    no `}` is followed by a line break and a `{`.
    """
    try:
        return not [line for line in lines if line[0] != _OPENING or line[-1] != _CLOSING]
    except IndexError:  # an empty line
        return False


def _sound(lines: LineBatch) -> LineBatch | None:
    try:
        # One check of all lines together costs half of one for each. It does not look at the text in strings, so
        # what is not ASCII is decoded.
        if b"\r" in lines.block:  # JSON allows it between its parts, and some readers end a line there
            return None
        if not _look_like_objects(lines) or len(_check(lines.block)) != len(lines):
            return None
        if not lines.block.isascii():
            text = b"".join([line for line in lines if not line.isascii()]).decode()
            if _NEL in text or _LINE in text or _PARAGRAPH in text:
                return lines
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    lines.checked = True
    return lines


class TextEncoder(Encoder):
    """Encodes each message as JSON text, on one line. Bytes are encoded already: they pass unchanged."""

    def on_init(self) -> None:
        """Create one encoder for all messages."""
        super().on_init()
        self._encoder = msgspec.json.Encoder(enc_hook=to_jsonable)

    def takes_text(self) -> bool:
        """Whether checked text can stand for the object."""
        return False

    def text_of(self, message: Any) -> bytes:
        """The text of one message.

        Raises:
            EncodingError: it contains something that has no JSON form, or contains itself.
        """
        if isinstance(message, bytes):
            return message
        try:
            return self._encoder.encode(message)
        except (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError):
            return _carefully(message)


def _carefully(message: Any) -> bytes:
    try:
        return json.dumps(sanitize(message), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise EncodingError("nested too deeply, or contains itself") from error
    except (TypeError, ValueError) as error:
        raise EncodingError(str(error)) from error
