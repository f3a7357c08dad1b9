"""The sending end of an acknowledged hop, without I/O: what is to be sent to whom, and what has been settled.

Every frame gets a number and is kept until a receiver has acknowledged it. A frame is on its way to one receiver at a
time. When a receiver is silent for too long, or has begun anew, what was on its way to it is sent again: to the same
one, or to another.

The caller gives the time, takes what is to be sent with `next_message`, and says with `sent` that ZeroMQ has it.
"""

from __future__ import annotations

import heapq
import math
from itertools import chain
from typing import TYPE_CHECKING, Any

from message_passing.zeromq.hop.delivery_state import Receiving, Unsettled, reply
from message_passing.zeromq.hop.frames import Ack, Data, Hello, Ping, Pong, Ready, Unknown, in_ranges

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from message_passing.zeromq.hop.frames import HopMessage

GREETING_INTERVAL = 1.0
"""Seconds between two greetings that are not answered."""

PROBE_INTERVAL = 2.0
"""Seconds of silence after which a peer is asked whether it is there, and between two such questions; or a quarter of
the silence after which it is given up, if that is less."""


_REMEMBERED = 8
"""Receivers of one frame that are remembered: those that come late with an acknowledgement are believed."""


class Producer:
    """The state of a sending end.

    Attributes:
        resent: frames that were sent more than once.
        strange: acknowledgements of frames that were not on their way there.
        on_way_size: bytes that are on their way to receivers.
    """

    def __init__(self, sender: bytes, *, greets: bool, dead_after: float, first: int = 1) -> None:
        """Begin without peers and frames.

        Args:
            sender: the id of this run, `frames.ID_BYTES` long.
            greets: it is the DEALER, and speaks first; otherwise receivers do.
            dead_after: seconds of silence after which a receiver that has something, or should answer, is given up.
            first: the number of its first frame.
        """
        self.sender = sender
        self.resent = self.strange = self.on_way_size = 0
        self._greets = greets
        self._dead_after = dead_after
        self._probe_interval = min(
            PROBE_INTERVAL, dead_after / 4
        )  # in vain twice, and an answer may take a while
        self._next = first
        self._unsettled: dict[int, Unsettled] = {}
        self._to_send: list[int] = []  # a heap: what is sent again goes before what is new
        self._peers: dict[Hashable, Receiving] = {}
        self._chosen: Hashable | None = None  # where one receiver gets everything

    # What it has

    def __len__(self) -> int:
        return len(self._unsettled)

    @property
    def first(self) -> int:
        """The lowest number that has not been acknowledged."""
        return next(iter(self._unsettled), self._next)

    @property
    def waiting(self) -> int:
        """Frames that are not on their way to anybody."""
        return sum(entry.peer is None for entry in self._unsettled.values())

    def ready_peers(self) -> list[Hashable]:
        """Receivers that have said that they are ready."""
        return [key for key, peer in self._peers.items() if peer.ready]

    def add(self, body: bytes, token: Any = None, *, lines: bool) -> int:
        """Take a frame, and return its number."""
        sequence = self._next
        self._next += 1
        self._unsettled[sequence] = Unsettled(sequence, body, lines, self.sender, token)
        heapq.heappush(self._to_send, sequence)
        return sequence

    def restore(self, sequence: int, body: bytes, token: Any = None, *, lines: bool, sender: bytes) -> None:
        """Take a frame that has a number already, perhaps of an earlier run, with that run's id. In order."""
        self._next = max(self._next, sequence + 1)
        self._unsettled[sequence] = Unsettled(sequence, body, lines, sender, token)
        heapq.heappush(self._to_send, sequence)

    def discard(self, sequence: int) -> None:
        """Give up a frame that waits to be sent."""
        if (entry := self._unsettled.get(sequence)) and entry.peer is None:
            del self._unsettled[sequence]

    def unsettled(self) -> Iterable[Unsettled]:
        """What has not been acknowledged, in order."""
        return self._unsettled.values()

    def peers(self) -> list[Hashable]:
        """All receivers, whether they are ready or not."""
        return list(self._peers)

    # Peers

    def add_peer(self, key: Hashable, now: float) -> None:
        """There is a connection on which to greet a receiver. For who greets."""
        self._peers.setdefault(key, Receiving(now))

    def _forget(self, key: Hashable) -> None:
        """It does not have, or does not say that it has, what was sent to it."""
        peer = self._peers[key]
        self._take_back(peer, list(peer.on_way))
        peer.ready = False
        if self._chosen == key:
            self._chosen = None

    def _take_back(self, peer: Receiving, sequences: Iterable[int]) -> None:
        """These are not on their way to it any more: they are to be sent again."""
        for sequence in sequences:
            if sequence in peer.on_way:
                del peer.on_way[sequence]
                entry = self._unsettled[sequence]
                self._count_on_way(peer, -len(entry.body))
                entry.peer = None
                heapq.heappush(self._to_send, sequence)

    def _count_on_way(self, peer: Receiving, size: int) -> None:
        peer.on_way_size += size
        self.on_way_size += size

    def expire(self, now: float) -> list[Hashable]:
        """Give up those who were silent for too long; who they are."""
        dead = [key for key, peer in self._peers.items() if self._is_dead(peer, now)]
        for key in dead:
            self._forget(key)
        if (
            not self._greets
        ):  # connections that are not there any more, or that never said that they are ready
            gone = [key for key, peer in self._peers.items() if now - peer.heard >= self._dead_after]
            for key in gone:
                del self._peers[key]
        return dead

    def _is_dead(self, peer: Receiving, now: float) -> bool:
        return peer.ready and now - peer.heard >= self._dead_after

    def greeting(self) -> Hello:
        """Who this is."""
        return Hello(self.sender, self.first)

    # Receiving

    def receive(self, key: Hashable, message: HopMessage, now: float) -> list[Unsettled]:
        """A receiver said something. What has been settled by that, in order."""
        peer = self._peers.get(key)
        if peer is None:
            peer = self._peers[key] = Receiving(now)
            if not isinstance(message, Ready):  # it knows us from before
                reply(peer.replies, Unknown())
        peer.heard = now
        if isinstance(message, Ready):
            self._greeted(key, peer, message, now)
        elif isinstance(message, Ack):
            return self._acknowledged(key, message)
        elif isinstance(message, Ping):
            if peer.ready:
                reply(peer.replies, Pong(message.number))
            elif not peer.replies:
                reply(peer.replies, Unknown())
        elif isinstance(message, Pong):
            self._answered(peer, message)
        elif isinstance(message, Unknown):
            self._forget(key)
            peer.asked = -math.inf
        return []

    def _greeted(self, key: Hashable, peer: Receiving, message: Ready, now: float) -> None:
        if not peer.ready or peer.identity != message.receiver:
            self._forget(key)
            if not self._greets:
                reply(peer.replies, self.greeting())
        peer.ready, peer.identity = True, message.receiver
        peer.frames, peer.size = message.frames, message.size
        peer.asked = now

    def _answered(self, peer: Receiving, message: Pong) -> None:
        """What it is not working on, of what was sent before it was asked, did not arrive."""
        if not message.number or message.number != peer.question:
            return
        working = set(in_ranges(peer.asked_about, message.working))
        self._take_back(peer, [number for number in peer.asked_about if number not in working])
        peer.asked_about = ()
        for number in working & peer.on_way.keys():
            peer.on_way[number] = peer.heard

    def _acknowledged(self, key: Hashable, message: Ack) -> list[Unsettled]:
        settled: list[Unsettled] = []
        # Ranges may be long, and are not to be believed: only numbers that there are count, each once.
        if sum(last - first + 1 for first, last in message.ranges) <= len(self._unsettled):
            numbers: Iterable[int] = chain.from_iterable(range(a, b + 1) for a, b in message.ranges)
        else:
            numbers = in_ranges(self._unsettled, message.ranges)
        for number in numbers:
            entry = self._unsettled.get(number)
            if entry is None or key not in entry.had_by:  # it cannot have it
                self.strange += entry is not None
                continue
            del self._unsettled[number]
            holder = self._peers.get(entry.peer) if entry.peer is not None else None
            if holder is not None and number in holder.on_way:
                del holder.on_way[number]
                self._count_on_way(holder, -len(entry.body))
            settled.append(entry)
        return settled

    # Sending

    def next_message(self, key: Hashable, now: float) -> HopMessage | None:
        """What is to be sent to a peer now; the same again until `sent` says that it was."""
        peer = self._peers.get(key)
        if peer is None:
            return None
        if peer.replies:
            return peer.replies[0]
        if not peer.ready:
            greets = self._greets and now - peer.asked >= GREETING_INTERVAL
            return self.greeting() if greets else None
        entry = self._next_to_send() if self._may_have(key, peer) else None
        if entry and (not peer.on_way or peer.on_way_size + len(entry.body) <= peer.size):
            return Data(entry.sequence, self.first, entry.body, entry.lines, entry.sender)
        if now - peer.asked >= self._probe_interval and now - self._quiet_since(peer) >= self._probe_interval:
            return Ping(peer.question + 1)
        return None

    @staticmethod
    def _quiet_since(peer: Receiving) -> float:
        """Since when it has said nothing; or nothing of what has been on its way to it for longest."""
        return min(peer.heard, next(iter(peer.on_way.values()), math.inf))

    def _may_have(self, key: Hashable, peer: Receiving) -> bool:
        """Whether a receiver may get one frame more."""
        if len(peer.on_way) >= peer.frames:
            return False
        if not self._greets:
            return True
        if self._chosen is None:  # the first of those that are ready, in the order in which they were given
            self._chosen = next(other for other, one in self._peers.items() if one.ready)
        return key == self._chosen

    def _next_to_send(self) -> Unsettled | None:
        while self._to_send:
            entry = self._unsettled.get(self._to_send[0])
            if entry is not None and entry.peer is None:
                return entry
            heapq.heappop(self._to_send)  # it was acknowledged meanwhile
        return None

    def sent(self, key: Hashable, message: HopMessage, now: float) -> None:
        """ZeroMQ has taken what `next_message` gave."""
        peer = self._peers[key]
        if isinstance(message, Data):
            entry = self._unsettled[message.sequence]
            heapq.heappop(self._to_send)
            entry.peer = key
            entry.times += 1
            self.resent += entry.times == 2
            entry.had_by = (*entry.had_by, key)[-_REMEMBERED:]
            peer.on_way[message.sequence] = now
            self._count_on_way(peer, len(entry.body))
        elif peer.replies:
            peer.replies.popleft()
        else:
            peer.asked = now
            if isinstance(message, Ping):
                peer.question, peer.asked_about = message.number, tuple(peer.on_way)

    def next_time(self, now: float) -> float:
        """When there is something to do again, if nothing else happens."""
        times = [now + self._probe_interval]
        for peer in self._peers.values():
            if not peer.ready:
                times.append(peer.asked + GREETING_INTERVAL)
            else:
                probed = max(self._quiet_since(peer), peer.asked) + self._probe_interval
                times += [probed, peer.heard + self._dead_after]
        return min(times)
