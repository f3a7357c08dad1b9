"""Many messages in one frame of an acknowledged hop, and the messages of some frames again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_passing.lines import LineBatch, LineBlock, MultiMessage, frames_of, line_count

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
        batch = joined if line_count(joined.block) == len(messages) else None
    if batch is not None:
        for frame in frames_of(batch, FRAME_BYTES):
            yield frame, frame.lines, True
        return
    for message in messages:
        yield message, message.lines if isinstance(message, MultiMessage) else 1, False


def unpacked(frames: Sequence[Data], *, blocks: bool) -> Any:
    """The messages of some frames, in order: as a block of lines where the chain takes that, and they are lines."""
    if all(one.lines for one in frames):
        block = b"\n".join([*[one.body for one in frames], b""])
        if not blocks:
            return LineBatch.of_block(block)
        return LineBlock(block, sum(line_count(one.body) + 1 for one in frames), checked=False)
    return [message for one in frames for message in (one.body.split(b"\n") if one.lines else (one.body,))]


def as_batch(items: Any) -> Any:
    """The messages of `unpacked`, or some of them, for one delivery: a list of its own where that can be changed."""
    return items if isinstance(items, (LineBatch, LineBlock)) else [*items]
