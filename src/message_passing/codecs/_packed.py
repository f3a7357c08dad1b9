"""What the codecs of bytes share: what they take, and the bound on what a message may unpack to."""

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
"""Members, one after the other, that a message may be of. Whoever packs makes one of a message, and who joins packed
files a few. An empty one has 20 bytes and less, and takes as long to begin as one with something in it: a small
message of nothing else would keep the decoder busy for long."""

_PIECE = 1 << 16
"""Bytes that a member is given at first, and twice as many each time. What it leaves over is copied by the library:
if that were all that there is, each of many members would cost as much as the whole message."""


class Format(NamedTuple):
    """What differs between the formats.

    Attributes:
        name: its name.
        member: what it calls a member.
        errors: what unpacking raises.
        padding: what may stand after a member, or be nothing.
    """

    name: str
    member: str
    errors: type[Exception] | tuple[type[Exception], ...]
    padding: re.Pattern[bytes] | None = None


class Unpacking(Protocol):
    """What the libraries make to unpack one member."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond its end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """What comes of these bytes more, up to so many."""


class Unpacker(Decoder):
    """A decoder of messages that may carry several: what is lost with one that fails is not known."""

    def summary(self) -> list[str]:
        """That it is not, if what comes next takes several from each."""
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
    """What was made of a message: a frame of as many lines, if it was one."""
    return MultiMessage(packed, message.lines) if isinstance(message, MultiMessage) else packed


def to_unpack(message: Any, codec: str) -> bytes:
    """A decoder's message as bytes.

    Raises:
        DecodingError: it is something else.
    """
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise DecodingError(f"{codec} takes bytes, not {type(message).__name__}")


def unpack(data: bytes, form: Format, begin: Callable[[], Unpacking], max_size: int) -> bytes:
    """What a message was packed from.

    Args:
        data: the message: members, one after the other.
        form: of which format.
        begin: makes what unpacks one.
        max_size: the most bytes that may come of it.

    Raises:
        DecodingError: it is not whole or not well-formed, is of too many members, or unpacks to too much.
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
    raise DecodingError(f"a message may be of {MOST_MEMBERS} {form.name} {form.member}s, and it is of more")


def too_large_error(max_size: int) -> DecodingError:
    """What is said of a message that unpacks to more than `max_size` bytes."""
    return DecodingError(f"it unpacks to more than {max_size} bytes (max_size)")
