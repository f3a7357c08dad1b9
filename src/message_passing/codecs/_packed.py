"""Code shared by the compression codecs: their input types, and the bound on what a message may unpack to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from message_passing.codecs.jsonlines import JSONLinesDecoder
from message_passing.errors import DecodingError, EncodingError
from message_passing.flow import Decoder
from message_passing.lines import MultiMessage
from message_passing.options import option

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence

    from message_passing.flow import Output

MAX_SIZE = 64 * 1024 * 1024

MOST_MEMBERS = 1000
"""The most members, one after the other, in a message. A packer makes one for a message; joined packed files have a
few. An empty one has 20 bytes or less, but takes as long to begin as any other: a small message of nothing else would
keep the decoder busy for long."""

_PIECE = 1 << 16
"""Bytes passed to a member at first, doubled each time. The library copies what the member leaves over: if it were
passed everything, each of many members would cost as much as the whole message."""


class Format(NamedTuple):
    """The differences between the formats.

    Attributes:
        name: its name.
        member: its word for a member.
        errors: the exceptions that unpacking raises.
        padding: the optional padding after a member.
    """

    name: str
    member: str
    errors: type[Exception] | tuple[type[Exception], ...]
    padding: re.Pattern[bytes] | None = None


class Unpacking(Protocol):
    """A library's decompressor, which unpacks one member."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """The input beyond its end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Unpack these further bytes, to so many bytes at most."""


class Unpacker(Decoder):
    """A decoder of messages that may carry several: how many are lost with one that fails is not known."""

    def summary(self) -> list[str]:
        """Report that it is not known, if the next component makes several messages of each."""
        failed = self.metrics.failed
        if not failed or not _taken_apart(self.outputs()):
            return []
        which = "the message that failed" if failed == 1 else f"the {failed} messages that failed"
        return [f"each message may carry several: an unknown number was in {which}"]


def _taken_apart(outputs: Sequence[Output]) -> bool:
    return any(
        isinstance(output, JSONLinesDecoder)
        or (isinstance(output, Decoder) and _taken_apart(output.outputs()))
        for output in outputs
    )


def max_size_option() -> Any:
    """The option `max_size` of a decompressing decoder."""
    return option(
        default=MAX_SIZE,
        description="The most bytes that a message may decompress to; a larger one fails. It protects the"
        " memory against decompression bombs.",
        ge=1,
    )


def to_pack(message: Any, codec: str) -> bytes:
    """An encoder's message as bytes; text becomes UTF-8.

    Raises:
        EncodingError: it is neither bytes nor text.
    """
    if isinstance(message, str):
        return message.encode("utf-8", "backslashreplace")
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise EncodingError(f"{codec} takes text or bytes, not {type(message).__name__}: make JSON of it first")


def carrying(message: Any, packed: bytes) -> bytes:
    """The packed message; a frame of as many lines if it was one."""
    return MultiMessage(packed, message.lines) if isinstance(message, MultiMessage) else packed


def to_unpack(message: Any, codec: str) -> bytes:
    """A decoder's message as bytes.

    Raises:
        DecodingError: it is not bytes.
    """
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise DecodingError(f"{codec} takes bytes, not {type(message).__name__}")


def unpack(data: bytes, form: Format, begin: Callable[[], Unpacking], max_size: int) -> bytes:
    """Unpack a message.

    Args:
        data: the message: members, one after the other.
        form: its format.
        begin: creates the decompressor for one.
        max_size: the most bytes that it may unpack to.

    Raises:
        DecodingError: it is incomplete or malformed, has too many members, or unpacks to too much.
    """
    parts: list[bytes] = []
    place, room = 0, max_size
    for _ in range(MOST_MEMBERS):
        one, size = begin(), _PIECE
        while not one.eof:
            piece = data[place : place + size]
            if not piece:
                raise DecodingError(f"malformed {form.name}: it ends too early")
            try:
                part = one.decompress(piece, room + 1)
            except form.errors as error:
                raise DecodingError(f"malformed {form.name}: {error}") from error
            room -= len(part)
            if room < 0:
                raise too_large_error(max_size)
            parts.append(part)
            place += len(piece)
            size *= 2
        place -= len(one.unused_data)
        if place < len(data) and form.padding and (found := form.padding.match(data, place)):
            place = found.end()
        if place == len(data):
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise DecodingError(
        f"a message may have {MOST_MEMBERS} {form.name} {form.member}s, and this one has more"
    )


def too_large_error(max_size: int) -> DecodingError:
    """The error text for a message that unpacks to more than `max_size` bytes."""
    return DecodingError(f"it unpacks to more than {max_size} bytes (max_size)")
