"""Many messages in one frame of an acknowledged hop, and the messages of a frame again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.lines import LineBatch, MultiMessage, frames_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from message_passing.zeromq.hop.frames import Data

FRAME_BYTES = 64 << 10
"""About how many bytes of messages go into one frame."""


def packed(messages: Sequence[bytes]) -> Iterator[tuple[bytes, int, bool]]:
    """A batch as frames, in order: the bytes, the number of messages, and whether each is one line of it."""
    if not messages:
        return
    batch = messages if isinstance(messages, LineBatch) else None
    if batch is None and MultiMessage not in {*map(type, messages)}:
        joined = LineBatch(messages)
        batch = joined if joined.block.count(b"\n") == len(messages) else None
    if batch is not None:
        for frame in frames_of(batch, FRAME_BYTES):
            yield frame, frame.lines, True
        return
    for message in messages:
        yield message, message.lines if isinstance(message, MultiMessage) else 1, False


def unpacked(data: Data) -> list[bytes]:
    """The messages of a frame."""
    return data.body.split(b"\n") if data.lines else [data.body]
