"""What the two ends of an acknowledged hop say to each other, as ZeroMQ messages of one or two frames.

See docs/hop-protocol.md. The first frame is a kind (one byte) and its numbers, unsigned and in network byte order. Of
`DATA` and `LINES`, the second frame is what is delivered.
"""

from __future__ import annotations

import contextlib
import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from message_passing.errors import MessagePassingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_VERSION = 1

ID_BYTES = 16
"""Bytes of the id of a sender or receiver."""

MOST_RANGES = 1000
"""The most ranges of one message."""

_HELLO = struct.Struct(f"!cB{ID_BYTES}sQ")
_READY = struct.Struct(f"!cB{ID_BYTES}sLQ")
_DATA = struct.Struct(f"!cQQ{ID_BYTES}s")
_NUMBER = struct.Struct("!cQ")
_RANGE = struct.Struct("!QQ")


class ProtocolError(MessagePassingError):
    """A peer said something that is not part of the protocol, or has another version of it."""


class OtherVersionError(ProtocolError):
    """It is a greeting of another version."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A sender: its id, and the lowest number that it has not had acknowledged."""

    sender: bytes
    first: int

    def encode(self) -> list[bytes]:
        """As frames."""
        return [_HELLO.pack(b"H", _VERSION, self.sender, self.first)]


@dataclass(frozen=True, slots=True)
class Ready:
    """A receiver: who it is, and how many frames, of how many bytes, may be on their way to it unacknowledged."""

    receiver: bytes
    frames: int
    size: int

    def encode(self) -> list[bytes]:
        """As frames."""
        return [_READY.pack(b"R", _VERSION, self.receiver, self.frames, self.size)]


@dataclass(frozen=True, slots=True)
class Data:
    """A frame to deliver.

    Attributes:
        sequence: its number, from 1.
        first: the lowest number that the sender has not had acknowledged: nothing below is sent again.
        body: the frame.
        lines: it is several messages, each a line, with a newline between them; otherwise one message.
        sender: the id of the run that numbered it. With the number, it tells whether a frame came before.
        user: the ZAP handler's name of who sent it, where that is asked for. It is not sent.
    """

    sequence: int
    first: int
    body: bytes
    lines: bool
    sender: bytes
    user: str = ""

    def encode(self) -> list[bytes]:
        """As frames."""
        return [_DATA.pack(b"L" if self.lines else b"D", self.sequence, self.first, self.sender), self.body]


@dataclass(frozen=True, slots=True)
class Ack:
    """Numbers that the receiver's chain has settled, as ranges with both ends."""

    ranges: Sequence[tuple[int, int]]

    def encode(self) -> list[bytes]:
        """As frames."""
        return [b"A" + _packed(self.ranges)]


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there, do you know me, and what of mine are you working on? Answered by `Pong`, or by `Unknown`."""

    number: int

    def encode(self) -> list[bytes]:
        """As frames."""
        return [_NUMBER.pack(b"I", self.number)]


@dataclass(frozen=True, slots=True)
class Pong:
    """I am here, and know you.

    Attributes:
        number: of the `Ping` that this answers; 0 where nobody asked, while settling takes long.
        working: frames that the chain is working on, as ranges with both ends. All that were sent before the `Ping`
            and are neither among these nor acknowledged did not arrive.
    """

    number: int
    working: Sequence[tuple[int, int]] = ()

    def encode(self) -> list[bytes]:
        """As frames."""
        return [_NUMBER.pack(b"O", self.number) + _packed(self.working)]


@dataclass(frozen=True, slots=True)
class Unknown:
    """I do not know you: greet me first. It has begun anew, or the connection is another one."""

    def encode(self) -> list[bytes]:
        """As frames."""
        return [b"U"]


HopMessage = Hello | Ready | Data | Ack | Ping | Pong | Unknown


def decode(frames: Sequence[bytes]) -> HopMessage:
    """What a peer said.

    Raises:
        ProtocolError: it is not part of the protocol, or of another version of it.
    """
    head = frames[0] if frames else b""
    decoder = _DECODERS.get((head[:1], len(frames)))
    if decoder is not None:
        with contextlib.suppress(struct.error):
            return decoder(frames)
    raise ProtocolError(
        "it does not speak the protocol of acknowledged hops, as an input or output of message-passing does"
    )


def _hello(frames: Sequence[bytes]) -> Hello:
    _check_version(frames[0])
    return Hello(*_HELLO.unpack(frames[0])[2:])


def _ready(frames: Sequence[bytes]) -> Ready:
    _check_version(frames[0])
    ready = Ready(*_READY.unpack(frames[0])[2:])
    if not ready.frames:  # it would be waited for, and no other receiver be given anything
        raise ProtocolError("it is a receiver that takes no frames")
    return ready


def _data(frames: Sequence[bytes]) -> Data:
    kind, sequence, first, sender = _DATA.unpack(frames[0])
    if not sequence:
        raise struct.error("numbers start at 1")
    return Data(sequence, min(first, sequence), frames[1], lines=kind == b"L", sender=sender)


def _pong(frames: Sequence[bytes]) -> Pong:
    head, ranges = frames[0][: _NUMBER.size], frames[0][_NUMBER.size :]
    return Pong(_NUMBER.unpack(head)[1], _ranges(ranges))


def _check_version(head: bytes) -> None:
    if len(head) > 1 and head[1] != _VERSION:
        raise OtherVersionError(
            f"it has version {head[1]} of the protocol of acknowledged hops, and we have {_VERSION}: use the same "
            "version of message-passing on both sides"
        )


def _packed(ranges: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(_RANGE.pack(*one) for one in ranges)


def _ranges(packed: bytes) -> list[tuple[int, int]]:
    """The ranges in a message.

    Raises:
        struct.error: it is cut off.
        ProtocolError: there are too many, or one ends before it begins.
    """
    if len(packed) > MOST_RANGES * _RANGE.size:
        raise ProtocolError(f"it named more than {MOST_RANGES} ranges at once")
    found = list(_RANGE.iter_unpack(packed))
    if any(first > last for first, last in found):
        raise ProtocolError("it named a range that ends before it begins")
    return found


def in_ranges(numbers: Iterable[int], ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Those numbers that are in a range, however many ranges there are, how long, and how they overlap."""
    lasts: list[int] = []  # of ranges that do not overlap, in order
    firsts: list[int] = []
    for first, last in sorted(ranges):
        if lasts and first <= lasts[-1]:
            lasts[-1] = max(lasts[-1], last)
        else:
            firsts.append(first)
            lasts.append(last)
    return [number for number in numbers if (at := bisect_right(firsts, number)) and number <= lasts[at - 1]]


def as_ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ranges with both ends, in order."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], number))
        else:
            found.append((number, number))
    return found


_DECODERS: Mapping[tuple[bytes, int], Callable[[Sequence[bytes]], HopMessage]] = {
    (b"H", 1): _hello,
    (b"R", 1): _ready,
    (b"D", 2): _data,
    (b"L", 2): _data,
    (b"A", 1): lambda frames: Ack(_ranges(frames[0][1:])),
    (b"I", 1): lambda frames: Ping(_NUMBER.unpack(frames[0])[1]),
    (b"O", 1): _pong,
    (b"U", 1): lambda _: Unknown(),
}
"""By kind and number of frames."""
