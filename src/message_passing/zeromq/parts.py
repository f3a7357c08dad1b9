"""A message of ZeroMQ's with all its frames: which of them are messages to us, and how much it is altogether."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable

_NOBLOCK = int(zmq.NOBLOCK)


class Message(NamedTuple):
    """One message, as it came.

    Attributes:
        frames: those that are messages to us; none if it was too big.
        too_big: its frames were together more than they may be.
        descriptor: of the connection that it came through, in digits; empty for inproc.
        user: who sent it, as the doorkeeper knows it; empty if nobody was asked.
    """

    frames: list[bytes]
    too_big: bool
    descriptor: str
    user: str


class Deliveries:
    """What receiving messages tells of the connections. To be used under the receiver's lock.

    Attributes:
        exact: every message's connection is to be noted, not only that of each batch's first.
        drained: nothing was left to be received, at some time since the last `take`.
    """

    def __init__(self) -> None:
        """Nothing was delivered."""
        self.exact = self.drained = False
        self._descriptors: set[str] = set()
        self.note: Callable[[str], None] = self._descriptors.add

    def take(self) -> set[int]:
        """The descriptors of connections that delivered a message since the last time."""
        found = {int(one) for one in self._descriptors}
        self._descriptors.clear()
        self.drained = False
        return found


def next_message(socket: zmq.Socket[bytes], most: int, *, each: bool) -> Message:
    """Receive the next message, of whose frames no more is kept than what is needed.

    Args:
        socket: where.
        most: bytes that its frames may be together; -1 for no limit.
        each: each frame is a message. Otherwise the last one is, and any first ones that begin a JSON object.

    Raises:
        zmq.Again: there is none.
    """
    frame: Any = socket.recv(_NOBLOCK, copy=False)
    descriptor, user = _known(frame, "__fd"), _known(frame, "User-Id")
    if not frame.more:  # one frame is not larger than ZeroMQ's own limit
        return Message([frame.bytes], False, descriptor, user)
    frames: list[bytes] = []
    total, objects = 0, True
    while True:
        data: bytes = frame.bytes
        total += len(data)
        objects = objects and data[:1] == b"{"
        if 0 <= most < total:
            frames.clear()
        elif each or objects or not frame.more:
            frames.append(data)
        if not frame.more:
            break
        frame = socket.recv(_NOBLOCK, copy=False)
    return Message(frames, 0 <= most < total, descriptor, user)


def _known(frame: Any, name: str) -> str:
    """A property of a message (zmq_msg_gets(3)); empty if it has none."""
    try:
        return str(frame.get(name) or "")
    except zmq.ZMQError:
        return ""
