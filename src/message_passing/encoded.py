"""Messages as the bytes that an output writes or sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.errors import EncodingError
from message_passing.lines import LineBatch, LineBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.component import Component


def as_bytes(message: Any) -> bytes:
    """Bytes as they are, text as UTF-8.

    Raises:
        EncodingError: it is neither bytes nor text, so an encoder is missing.
    """
    if isinstance(message, str):
        return message.encode("utf-8", "backslashreplace")
    if isinstance(message, bytes):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    raise EncodingError(
        f"an object of type {type(message).__name__} cannot be written as it is: "
        "put an encoder before this output (JSON is the usual one)"
    )


def all_as_bytes(component: Component, messages: Sequence[Any]) -> Sequence[bytes]:
    """A batch as bytes; messages that are neither bytes nor text are counted as failed by `component`."""
    if isinstance(messages, (LineBatch, LineBlock)) or {*map(type, messages)} == {bytes}:
        return messages
    taken: list[bytes] = []
    refused: list[Any] = []
    reason: EncodingError | None = None
    for message in messages:
        try:
            taken.append(as_bytes(message))
        except EncodingError as error:
            reason = reason or error
            refused.append(message)
    if reason:
        component.fail(reason, refused)
    return taken
