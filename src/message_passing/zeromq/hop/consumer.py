"""The receiving end of an acknowledged hop, without I/O: what is delivered, once, and what is acknowledged.

A number that was delivered or settled before is not delivered again. What a receiver remembers of a sender is what
the sender may still send again: everything from the lowest number on that has not been acknowledged, which each
frame tells.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from message_passing.zeromq.hop.delivery_state import reply
from message_passing.zeromq.hop.frames import (
    MOST_RANGES,
    Ack,
    Data,
    Hello,
    Ping,
    Pong,
    Ready,
    Unknown,
    as_ranges,
)
from message_passing.zeromq.hop.producer import GREETING_INTERVAL, PROBE_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Hashable

    from message_passing.zeromq.hop.frames import HopMessage

_WINDOWS = 4
"""Windows of one connection that may be unacknowledged: what comes beyond that is ignored, and may be sent again."""

KEEP_ALIVE = 0.5
"""Seconds after which a sender whose frames are not settled yet is told that they are being worked on: with the time
between two checks, which is half of that, less than the least `ack_timeout`."""

MOST_REMEMBERED = 100_000
"""Settled numbers that are remembered of one sender, besides all below the lowest that is not."""

_FORGOTTEN = 1000
"""So many are forgotten at once then."""

_MOST_SENDERS = 10_000
"""Senders that are remembered; the one that has been silent longest is forgotten for another."""


@dataclass(slots=True)
class SenderMemory:
    """What is known of a sender's numbers.

    Attributes:
        floor: all numbers up to this one are settled.
        settled: settled numbers above it.
        delivered: numbers that are being worked on, and the connections on which that is awaited.
    """

    floor: int = 0
    settled: set[int] = field(default_factory=set)
    delivered: dict[int, list[Sending]] = field(default_factory=dict)

    def knows(self, sequence: int) -> bool:
        """Whether it was delivered already."""
        return sequence <= self.floor or sequence in self.settled or sequence in self.delivered

    def is_settled(self, sequence: int) -> bool:
        """Whether its chain is done with it."""
        return sequence <= self.floor or sequence in self.settled

    def settle(self, sequence: int) -> None:
        """The chain is done with it."""
        self.delivered.pop(sequence, None)
        if sequence <= self.floor:  # another receiver was faster
            return
        self.settled.add(sequence)
        self._rise()
        if len(self.settled) > MOST_REMEMBERED:  # what is lowest will be sent again with the least likelihood
            self.settled.difference_update(heapq.nsmallest(_FORGOTTEN, self.settled))

    def forget_below(self, first: int) -> None:
        """Nothing below this is sent again."""
        if first - 1 > self.floor:
            self.floor = first - 1
            self.settled = {number for number in self.settled if number > self.floor}
            self._rise()

    def _rise(self) -> None:
        while self.floor + 1 in self.settled:
            self.floor += 1
            self.settled.discard(self.floor)


@dataclass(slots=True)
class Sending:
    """A sender's connection.

    Attributes:
        sender: the id of its present run; empty until it has said so.
        acks: numbers to acknowledge; and
        open: those that the chain is working on, with the id of the run that numbered each.
        heard: when it last said something.
        said: when it was last told something.
    """

    heard: float
    sender: bytes = b""
    acks: set[int] = field(default_factory=set)
    open: dict[int, bytes] = field(default_factory=dict)
    replies: deque[HopMessage] = field(default_factory=deque)
    said: float = -math.inf
    asked: float = -math.inf
    met: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """A frame for the chain. `settle` is to be called with it when the chain is done with it.

    Attributes:
        peer: the connection that it came on.
        data: the frame, its number, and the id that belongs to that.
    """

    peer: Hashable
    data: Data


class Consumer:
    """The state of a receiving end.

    Attributes:
        duplicates: frames that had been delivered before.
        excess: frames that were ignored, since the sender had far more on their way than it may.
    """

    def __init__(self, receiver: bytes, *, greets: bool, frames: int, size: int, dead_after: float) -> None:
        """Begin without peers.

        Args:
            receiver: its id, which no other run of any receiver has.
            greets: it is the DEALER, and speaks first; otherwise senders do.
            frames: how many frames of one sender may be unsettled; and
            size: how many bytes.
            dead_after: seconds of silence after which a sender's connection is forgotten.
        """
        self.duplicates = self.excess = 0
        self._receiver, self._greets = receiver, greets
        self._frames, self._size = frames, size
        self._dead_after = dead_after
        self._peers: dict[Hashable, Sending] = {}
        self._memories: dict[bytes, SenderMemory] = {}

    def senders(self) -> int:
        """How many connections have said who they are."""
        return sum(bool(peer.sender) for peer in self._peers.values())

    def add_peer(self, key: Hashable, now: float) -> None:
        """There is a connection on which to greet a sender. For who greets."""
        self._peers.setdefault(key, Sending(now))

    def remember(self, sender: bytes, floor: int) -> None:
        """All numbers of a sender up to this one were settled in an earlier run."""
        self._memory(sender).forget_below(floor + 1)

    def floors(self) -> dict[bytes, int]:
        """For every sender the number up to which all is settled, to be remembered by the next run."""
        return {sender: memory.floor for sender, memory in self._memories.items()}

    def _memory(self, sender: bytes) -> SenderMemory:
        memory = self._memories.pop(sender, None) or SenderMemory()
        self._memories[sender] = memory  # as the last one
        if len(self._memories) > _MOST_SENDERS:
            oldest = next((one for one, kept in self._memories.items() if not kept.delivered), sender)
            del self._memories[oldest]
        return memory

    # Receiving

    def receive(self, key: Hashable, message: HopMessage, now: float) -> Delivered | None:
        """A sender said something. A frame, if it is one that has not been delivered."""
        peer = self._peers.get(key)
        if peer is None:
            peer = self._peers[key] = Sending(now)
        peer.heard = now
        if isinstance(message, Hello):
            peer.sender = message.sender  # it is remembered from its first frame on
            peer.met = True
            if not self._greets:
                reply(peer.replies, self.greeting())
        elif isinstance(message, Data):
            return self._frame(key, peer, message)
        elif isinstance(message, Ping):
            working = as_ranges(peer.open)[:MOST_RANGES]
            reply(peer.replies, Pong(message.number, working) if peer.sender else Unknown())
        elif isinstance(message, Unknown):
            peer.met, peer.asked = False, -math.inf
        return None

    def _frame(self, key: Hashable, peer: Sending, message: Data) -> Delivered | None:
        if not peer.sender:
            if not peer.replies:
                reply(peer.replies, Unknown())
            return None
        memory = self._memory(message.sender)
        memory.forget_below(message.first)
        # One that has given us up, and finds us again, sends others on the same connection; never as many as these.
        if len(peer.open) + len(peer.acks) >= _WINDOWS * self._frames:
            self.excess += 1
            return None
        if not memory.knows(message.sequence):
            self._await(peer, memory, message)
            return Delivered(key, message)
        self.duplicates += 1
        if memory.is_settled(message.sequence):
            peer.acks.add(message.sequence)
        elif (
            peer.open.get(message.sequence) != message.sender
        ):  # its acknowledgement goes to all who have sent it
            self._await(peer, memory, message)
        return None

    @staticmethod
    def _await(peer: Sending, memory: SenderMemory, message: Data) -> None:
        memory.delivered.setdefault(message.sequence, []).append(peer)
        peer.open[message.sequence] = message.sender

    def settle(self, delivered: Delivered) -> None:
        """The chain is done with a frame: written, removed, or rejected."""
        sequence, sender = delivered.data.sequence, delivered.data.sender
        memory = self._memory(sender)
        waiting = memory.delivered.get(sequence, ())
        memory.settle(sequence)
        for peer in waiting:
            if peer.open.get(sequence) == sender:
                del peer.open[sequence]
                peer.acks.add(sequence)

    def unsettled(self) -> int:
        """Frames that the chain is not done with."""
        return sum(len(memory.delivered) for memory in self._memories.values())

    # Sending

    def greeting(self) -> Ready:
        """Who this is, and how much it takes."""
        return Ready(self._receiver, self._frames, self._size)

    def next_message(self, key: Hashable, now: float) -> HopMessage | None:
        """What is to be said to a peer now; the same again until `sent` says that it was."""
        peer = self._peers.get(key)
        if peer is None:
            return None
        if peer.acks:  # before an answer, which would otherwise miss what has just been settled
            return Ack(as_ranges(peer.acks)[:MOST_RANGES])
        if peer.replies:
            return peer.replies[0]
        if self._greets and not peer.met:
            greets = now - peer.asked >= GREETING_INTERVAL
            return self.greeting() if greets else None
        if peer.open and now - peer.said >= KEEP_ALIVE:
            return Pong(0)
        if self._greets and now - max(peer.heard, peer.asked) >= PROBE_INTERVAL:
            return Ping(0)
        return None

    def sent(self, key: Hashable, message: HopMessage, now: float) -> None:
        """ZeroMQ has taken what `next_message` gave."""
        peer = self._peers[key]
        peer.said = now
        if isinstance(message, Ack):
            for first, last in message.ranges:
                peer.acks.difference_update(range(first, last + 1))
        elif peer.replies:
            peer.replies.popleft()
        elif isinstance(message, (Ready, Ping)):
            peer.asked = now

    def peers(self) -> list[Hashable]:
        """All connections."""
        return list(self._peers)

    def expire(self, now: float) -> None:
        """Forget connections that were silent for too long. Their senders are remembered."""
        for key in [key for key, peer in self._peers.items() if now - peer.heard >= self._dead_after]:
            if self._greets:
                self._peers[key].met = False
                self._peers[key].heard = now
            elif not self._peers[key].open:
                del self._peers[key]

    def next_time(self, now: float) -> float:
        """When there is something to do again, if nothing else happens."""
        return now + KEEP_ALIVE / 2 if any(peer.open for peer in self._peers.values()) else now + KEEP_ALIVE
