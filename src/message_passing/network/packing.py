"""Many messages in one message of an engine's stream (a frame).

A frame is the messages with newlines between them. Something beside it says so (a header, the name of a field), since
the text of a message may have line breaks of its own: what is not said to be a frame is one message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.lines import FRAME_TYPES, LineBatch, MultiMessage, frames_of, joined_lines, message_count
from message_passing.zeromq.hop.packing import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FRAME_HEADER, FRAME_OF_LINES = "Message-Passing-Frame", "lines"
"""The header of a frame, and its value, where an engine has headers."""


def buffered_frames(messages: Sequence[bytes]) -> list[bytes]:
    """A batch as few frames, to be joined with others later; what is no line remains as it is."""
    return [joined_lines(frame, count) if lines else frame for frame, count, lines in packed(messages)]


def joined_frame(payload: bytes) -> MultiMessage | None:
    """The payload, if it is lines."""
    return payload if isinstance(payload, MultiMessage) and payload.joined else None


def payloads_of(messages: Sequence[bytes], most: int) -> Iterator[bytes]:
    """What is published for a batch, in order.

    Args:
        messages: frames from `buffered_frames`, and others.
        most: the most bytes of a frame; what is larger by itself is a payload by itself.
    """
    if FRAME_TYPES.isdisjoint(map(type, messages)):
        yield from messages
        return
    waiting: list[MultiMessage] = []
    size = 0
    for message in messages:
        frame = joined_frame(message)
        if frame is None or size + len(message) > most:
            yield from _joined(waiting)
            waiting, size = [], 0
        if frame is None:
            yield message
        elif len(frame) > most and frame.lines > 1:
            yield from frames_of(LineBatch.of_block(frame + b"\n"), most)
        else:
            waiting.append(frame)
            size += len(frame) + 1
    yield from _joined(waiting)


def _joined(frames: list[MultiMessage]) -> Iterator[bytes]:
    if len(frames) > 1:
        yield joined_lines(b"\n".join(frames), message_count(frames))
    else:
        yield from frames


def is_frame(payload: bytes) -> bool:
    """Whether a payload from `payloads_of` is several messages."""
    frame = joined_frame(payload)
    return bool(frame and frame.lines > 1)


def messages_of(payload: bytes) -> list[bytes]:
    """The single messages in a payload, for dead letters."""
    return payload.split(b"\n") if joined_frame(payload) else [payload]
