"""What the sending end of an acknowledged hop knows of each frame and of each receiver."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from message_passing.zeromq.hop.frames import HopMessage


MOST_REPLIES = 100
"""Answers that may wait for a peer that does not read them; it has none to what it asks beyond that."""


def reply(replies: deque[HopMessage], message: HopMessage) -> None:
    """Answer a peer, unless too many answers wait for it."""
    if len(replies) < MOST_REPLIES:
        replies.append(message)


@dataclass(slots=True)
class Unsettled:
    """A frame that has not been acknowledged.

    Attributes:
        sequence: its number.
        body: the frame.
        lines: see `frames.Data`.
        sender: see `frames.Data`.
        token: whatever its owner wants to find again when it is settled.
        peer: who has it now; None while it waits to be sent.
        had_by: those whom it was sent to, in order, the last few.
        times: how often it was sent.
    """

    sequence: int
    body: bytes
    lines: bool
    sender: bytes
    token: Any = None
    peer: Hashable | None = None
    had_by: tuple[Hashable, ...] = ()
    times: int = 0


@dataclass(slots=True)
class Receiving:
    """A receiver, as the sender sees it.

    Attributes:
        ready: it has said that it is.
        frames: how many more may be on their way to it; and
        size: of how many bytes.
        on_way: numbers that are on their way to it, and since when; and
        on_way_size: how many bytes they have.
        heard: when it last said something.
        asked: when it was last greeted or asked.
        question: the number of the last question; and
        asked_about: what was on its way then.
        identity: which one it is.
    """

    heard: float
    ready: bool = False
    frames: int = 0
    size: int = 0
    asked: float = -math.inf
    question: int = 0
    asked_about: tuple[int, ...] = ()
    identity: bytes = b""
    on_way: dict[int, float] = field(default_factory=dict)
    on_way_size: int = 0
    replies: deque[HopMessage] = field(default_factory=deque)
