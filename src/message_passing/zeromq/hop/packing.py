"""Many messages in one frame of an acknowledged hop, and the messages of some frames again."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from message_passing.lines import FRAME_TYPES, LineBatch, LineBlock, MultiMessage, line_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    class Frame(Protocol):
        """What came together.

        Attributes:
            body: its bytes.
            lines: it is several messages, each a line, with a newline between them; otherwise one message.
        """

        @property
        def body(self) -> bytes: ...  # noqa: D102 - see above

        @property
        def lines(self) -> bool: ...  # noqa: D102 - see above


FRAME_BYTES = 64 << 10
"""The most bytes of messages that go into one frame, unless one message has more."""

TOGETHER_BYTES = 160 << 10
"""The most bytes of frames that are delivered to the chain together, unless one has more; where they are not split
into messages, `BLOCK_BYTES`."""

BLOCK_BYTES = 512 << 10
"""The most bytes of frames that are delivered as one block."""


def packed(messages: Sequence[bytes], *, plain: bool = False) -> Iterator[tuple[bytes, int, bool]]:
    """A batch as frames, in order: the bytes, the number of messages, and whether each is one line of it.

    Args:
        messages: the batch.
        plain: it is known that none of them is a `MultiMessage`.
    """
    are_lines = isinstance(messages, LineBatch)
    if not plain and not are_lines and not FRAME_TYPES.isdisjoint(map(type, messages)):
        for message in messages:
            yield message, message.lines if isinstance(message, MultiMessage) else 1, False
        return
    for part in _parts(messages):
        body = b"\n".join(part)  # the only copy of it that is made here
        if are_lines or line_count(body) == len(part) - 1:
            yield body, len(part), True
        else:
            for message in part:
                yield message, 1, False


def _parts(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """A batch in parts of which each fits a frame, with a newline between two messages."""
    ends, first, count = [*accumulate(map(len, messages), initial=0)], 0, len(messages)
    while first < count:
        end = ends[first] + first + FRAME_BYTES + 1  # the last has no newline
        fitting = bisect_right(range(count + 1), end, first + 1, key=lambda index: ends[index] + index)
        last = max(first + 1, fitting - 1)
        yield messages[first:last]
        first = last


def unpacked(frames: Sequence[Frame], *, blocks: bool) -> Any:
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
