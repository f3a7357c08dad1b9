"""How much of what was sent has left this process, and bounds for what may be lost where it cannot be counted.

ZeroMQ reports neither what its queues hold nor what it skips for one of several subscribers. The system reports how
many bytes of a connection the other side's system has not acknowledged. Where these are few, nothing blocked
ZeroMQ's own thread, which passes messages on in order: so what was sent a while before has left. And a queue
holds no more messages than its high-water mark, so the sizes of the last ones bound its bytes.
"""

from __future__ import annotations

import array
import fcntl
import termios
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.lines import MultiMessage, message_count
from message_passing.metrics import UNSENT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.settings import SocketSettings

SLOW_SUBSCRIBER = "slow subscriber"

_LITTLE = 4096
"""Bytes that the system always has room for: as long as no more are in flight, ZeroMQ can write. (Zero would be too
few: an acknowledgement may take 40 ms, tcp(7) on TCP_QUICKACK.)"""

_ENGINE = 4096
"""Messages that ZeroMQ may have dequeued and not yet given to the system: 8192 bytes (ZMQ_OUT_BATCH_SIZE)."""

_LOOKS = 2
"""This many checks, at least 0.1 seconds, are long enough for ZeroMQ's thread to have run."""

_QUIET = 0.01
"""Seconds in which the system has had nothing to send, although there were messages, if there had been any."""


class Progress:
    """One socket's progress: what has left, and at most how many messages did not reach a peer.

    Attributes:
        left: messages that have left.
    """

    def __init__(self, settings: SocketSettings) -> None:
        """Start with nothing sent.

        Args:
            settings: what was opened. A socket that connects has a queue for each endpoint, even without a peer;
                a bound one has a queue for each connection, as long as that lasts.
        """
        self.left = 0
        self._queues = len(settings.connect)
        self._hwm = settings.hwm
        self._within = settings.in_process
        self._more = 0
        self._sent: deque[int] = deque([0] * _LOOKS, _LOOKS)
        self._clear = 0
        self._slow_since: int | None = None
        self._possible: Counter[str] = Counter()

    def add(self, messages: Sequence[bytes]) -> None:
        """Record how many messages the sent frames carry."""
        if MultiMessage in {type(messages[0]), type(messages[-1])}:
            self._more += message_count(messages) - len(messages)

    def given(self, sent: int) -> int:
        """The number of messages given to ZeroMQ, counting each frame as those it carries."""
        return sent + self._more

    def look(self, sent: int, traffic: Sequence[Traffic | None]) -> None:
        """Check all connections, long enough after the last check for ZeroMQ's thread to have run.

        Args:
            sent: messages given to ZeroMQ so far.
            traffic: that of each connection; None where unknown.
        """
        before = self._sent[0]
        self._sent.append(self.given(sent))
        clear = self.clear(traffic)
        self._clear = self._clear + 1 if clear else 0
        if clear:
            self.left = max(self.left, before)
        if self._clear > _LOOKS and self._slow_since is not None and self._slow_since <= before:
            self.caught_up(sent)

    def clear(self, traffic: Sequence[Traffic | None]) -> bool:
        """Whether no connection is blocked."""
        there = len(traffic) >= max(1, self._queues)
        return there and all(one is not None and one.unacknowledged <= _LITTLE for one in traffic)

    def unsettled(self, sent: int) -> bool:
        """Whether anything may still be in ZeroMQ's queues."""
        return self.given(sent) > self.left

    def has_left(self, sent: int) -> None:
        """Record that all that was given to ZeroMQ has left."""
        self.left = self.given(sent)

    @property
    def behind(self) -> bool:
        """Whether a subscriber has fallen behind and may still be behind."""
        return self._slow_since is not None

    def falls_behind(self, sent: int) -> None:
        """Record that one of several subscribers had no room: ZeroMQ does not report what it skips from now on."""
        if self._slow_since is None:
            self._slow_since = self.given(sent)

    def caught_up(self, sent: int) -> None:
        """Record that no subscriber is behind any more."""
        self._possible[SLOW_SUBSCRIBER] += self._behind(sent)
        self._slow_since = None

    def _behind(self, sent: int) -> int:
        since = self._slow_since
        return 0 if since is None else self.given(sent) - since

    def remain(self, sent: int, connections: int, *, something: bool) -> None:
        """Record that the socket was closed, possibly before ZeroMQ had sent everything.

        Args:
            sent: messages given to ZeroMQ.
            connections: how many there were.
            something: whether something was certainly left, even if all seemed to have left by then.
        """
        most = self.given(sent) - self.left
        if something and not most:
            most = self.given(sent)
        if self._hwm and not self._more:
            most = min(most, (self._hwm + _ENGINE) * max(1, self._queues, connections))
        if not self._within:
            self._possible[UNSENT] += most

    def possible(self, sent: int) -> dict[str, int]:
        """At most how many messages did not reach a peer, by reason; empty where that is certain."""
        found = self._possible.copy()
        found[SLOW_SUBSCRIBER] += self._behind(sent)
        return {reason: count for reason, count in found.items() if count}


class QueuedBytes:
    """The sizes of the messages that may still be in one socket's queue, which ZeroMQ counts but does not weigh."""

    def __init__(self, messages: int, most: int) -> None:
        """Nothing was sent.

        Args:
            messages: the socket's high-water mark.
            most: the bytes that it may have; 0 for no bound.
        """
        self._sizes: deque[int] = deque(maxlen=messages or None)
        self._most = most
        self._quiet_since = 0.0

    def room_for(self, records: list[bytes], size: int, descriptors: Collection[int]) -> int:
        """How many of these, from the first on, may be sent now.

        Args:
            records: what is to be sent.
            size: its bytes.
            descriptors: the connections.
        """
        if not self._most:
            return len(records)
        room = self._most - sum(self._sizes)
        if size <= room:
            return len(records)
        if self._is_drained(descriptors):
            self._sizes.clear()
            room = self._most
        fit = 0
        for record in records:
            room -= len(record)
            if room < 0 and (fit or self._sizes):  # one alone is sent, however long it is
                break
            fit += 1
        return fit

    def sent(self, records: list[bytes], amount: int) -> None:
        """Note that the first ones of these were sent."""
        if amount and self._most:
            self._sizes.extend(map(len, islice(records, amount)))
            self._quiet_since = 0.0

    def _is_drained(self, descriptors: Collection[int]) -> bool:
        if not descriptors or any(map(unsent, descriptors)):
            self._quiet_since = 0.0
            return False
        now = monotonic()
        self._quiet_since = self._quiet_since or now
        return now - self._quiet_since >= _QUIET


def unsent(descriptor: int) -> bool:
    """Whether the system has something to send on a connection (tcp(7), unix(7): SIOCOUTQ)."""
    amount = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, amount)
    except OSError:
        return True  # it was closed meanwhile
    return amount[0] > 0
