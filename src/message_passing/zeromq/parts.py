"""A message of ZeroMQ's with all its frames: which of them are messages to us, and how much it is altogether."""

from __future__ import annotations

from typing import Any, NamedTuple

import zmq

_NOBLOCK = int(zmq.NOBLOCK)


class Message(NamedTuple):
    """One message, as it came.

    Attributes:
        frames: those that are messages to us; none if it was too big.
        too_big: its frames were together more than they may be.
        descriptor: of the connection that it came through, in digits; empty for inproc.
        user: who sent it, as the doorkeeper knows it; empty if nobody was asked.
        size: bytes of all its frames, at most those that came over the network.
    """

    frames: list[bytes]
    too_big: bool
    descriptor: str
    user: str
    size: int


def next_message(socket: zmq.Socket[bytes], most: int, *, each: bool, named: bool) -> Message:
    """Receive the next message, of whose frames no more is kept than what is needed.

    Args:
        socket: where.
        most: bytes that its frames may be together; -1 for no limit.
        named: the doorkeeper is to be asked who sent it.
        each: each frame is a message. Otherwise the last one is, and any first ones that begin a JSON object.

    Raises:
        zmq.Again: there is none.
    """
    frame: Any = socket.recv(_NOBLOCK, copy=False)
    descriptor, user = (
        _known(frame, "__fd"),
        _known(frame, "User-Id") if named else "",
    )  # asking in vain is slow
    if not frame.more:  # one frame is not larger than ZeroMQ's own limit
        single = frame.bytes
        return Message([single], False, descriptor, user, len(single) + 2)
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
    return Message(frames, 0 <= most < total, descriptor, user, total + 2)


def _known(frame: Any, name: str) -> str:
    """A property of a message (zmq_msg_gets(3)); empty if it has none."""
    try:
        return str(frame.get(name) or "")
    except zmq.ZMQError:
        return ""
