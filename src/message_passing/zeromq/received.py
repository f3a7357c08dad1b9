"""Received messages: which frames of one are messages to us, and how many bytes each connection has delivered.

The bytes read from a connection and not delivered may be an unfinished message.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import zmq

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.RCVMORE)


class Message(NamedTuple):
    """One message as received.

    Attributes:
        frames: those that are messages to us; none if it was too big.
        too_big: how many messages exceeded the size limit.
        descriptor: that of its connection, in digits; empty for inproc.
        user: its sender by the ZAP handler's name for it; empty if not requested.
        size: bytes of all its frames.
        peer_type: the socket type of the connection's other end; empty for inproc, or if not requested.
        address: the other end's address, without port; likewise.
    """

    frames: list[bytes]
    too_big: int
    descriptor: str
    user: str
    size: int
    peer_type: str = ""
    address: str = ""


def next_message(
    socket: zmq.Socket[bytes], most: int, *, each: bool, named: bool, typed: bool = False
) -> Message:
    """Receive the next message, keeping only those of its frames that are needed.

    Args:
        socket: the receiving socket.
        most: the most bytes of a message to us, with its accompanying frames; -1 for no limit.
        named: whether to record the sender by the ZAP handler's name for it.
        typed: whether to record the peer's socket type and address.
        each: whether each frame is a message, together. Otherwise a frame that begins a JSON object is a message
            by itself, and the last one is, with the others.

    Raises:
        zmq.Again: there is none.
    """
    frame: Any = socket.recv(_NOBLOCK, copy=False)
    descriptor, user = (
        _known(frame, "__fd"),
        _known(frame, "User-Id") if named else "",
    )  # a failing query is slow
    peer = (_known(frame, "Socket-Type"), _known(frame, "Peer-Address")) if typed else ("", "")
    if not frame.more and not 0 <= most < len(frame):
        single = frame.bytes
        return Message([single], 0, descriptor, user, len(single), *peer)
    if each and most < 0:  # the others are taken as they are
        frames = [frame.bytes, socket.recv(_NOBLOCK)]
        while socket.getsockopt(_MORE):
            frames.append(socket.recv(_NOBLOCK))
        return Message(frames, 0, descriptor, user, sum(map(len, frames)), *peer)
    frames = []
    total = together = too_big = 0
    while True:  # unwanted or oversized frames are not copied
        size, more = len(frame), frame.more
        alone = more and not each and frame.buffer[:1] == b"{"
        total += size
        together += 0 if alone else size
        fits = not 0 <= most < (size if alone else together)
        if not fits:
            too_big += alone or not more
            if each:
                frames.clear()
        elif each or alone or not more:
            frames.append(frame.bytes)
        if not more:
            break
        frame = socket.recv(_NOBLOCK, copy=False)
    return Message(frames, too_big, descriptor, user, total, *peer)


def _known(frame: Any, name: str) -> str:
    """A property of a message (zmq_msg_gets(3)); empty if it has none."""
    try:
        return str(frame.get(name) or "")
    except zmq.ZMQError:
        return ""


class Deliveries:
    """What received messages show about the connections. To be used under the receiver's lock.

    Attributes:
        exact: record the connection of every message, not only of a sample.
        drained: nothing was left to be received, at some time since the last `take`.
    """

    def __init__(self) -> None:
        """Start without deliveries."""
        self.exact = self.drained = False
        self._bytes: dict[str, int] = {}

    def note(self, message: Message) -> None:
        """Record that a message was received."""
        if message.descriptor:
            # With the header of one frame: at most what came over the network.
            self._bytes[message.descriptor] = self._bytes.get(message.descriptor, 0) + message.size + 2

    def take(self) -> dict[int, int]:
        """The bytes delivered since the last call, by connection descriptor."""
        found = {int(one): size for one, size in self._bytes.items()}
        self._bytes.clear()
        self.drained = False
        return found


@dataclass(slots=True)
class Record:
    """One connection's bytes read: now, when nothing was left to be received, and at its last delivery."""

    heard: float = -math.inf  # when it last delivered a message
    read: int = 0
    mark: int = 0
    base: int = 0
    delivered: int = 0  # of what was read since `base`

    @property
    def unfinished(self) -> int:
        """The most bytes read that belong to no delivered message."""
        return self.read - self.base - self.delivered

    def deliver(self, size: int, now: float) -> None:
        """Record delivered bytes. The first message may have begun before `mark` and ended after it."""
        self.heard = now
        if self.read - self.mark < self.unfinished - size:
            self.base, self.delivered = self.mark, 0
        else:
            self.delivered += size
