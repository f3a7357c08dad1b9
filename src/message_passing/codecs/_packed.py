"""What the codecs of bytes share: what they take, and the bound on what a message may unpack to."""

from __future__ import annotations

from typing import Any

from message_passing.errors import DecodingError, EncodingError
from message_passing.lines import Frame
from message_passing.options import option

MAX_SIZE = 64 * 1024 * 1024


def max_size_option() -> Any:
    """The option `max_size` of a decompressing decoder."""
    return option(
        default=MAX_SIZE,
        description="The most bytes that a message may unpack to; a larger one fails. It guards the memory "
        "against a small message that unpacks to a huge one.",
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
    return Frame(packed, message.lines) if isinstance(message, Frame) else packed


def to_unpack(message: Any, codec: str) -> bytes:
    """A decoder's message as bytes.

    Raises:
        DecodingError: it is something else.
    """
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise DecodingError(f"{codec} takes bytes, not {type(message).__name__}")


def too_large(max_size: int) -> DecodingError:
    """What is said of a message that unpacks to more than `max_size` bytes."""
    return DecodingError(f"it unpacks to more than {max_size} bytes (max_size)")
