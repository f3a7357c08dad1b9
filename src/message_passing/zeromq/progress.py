"""How much of what was sent has left this process, and what may be lost: bounds, where nobody can count.

ZeroMQ tells nobody what its queues hold, nor what it skips for one of several subscribers. What the system tells: how
many bytes of a connection the other side's system has not confirmed. Where these are few, nothing stood in the way
of ZeroMQ's own thread, which passes messages on in order: so what had been sent a while before is gone.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from message_passing.lines import MultiMessage, message_count
from message_passing.metrics import UNSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.settings import SocketSettings

SLOW_SUBSCRIBER = "slow subscriber"

_LITTLE = 4096
"""Bytes that the system always has room for: as long as no more are on their way, ZeroMQ can write. (None at all
would be too few: a confirmation may take 40 ms, tcp(7) on TCP_QUICKACK.)"""

_ENGINE = 4096
"""Messages that ZeroMQ may have taken out of a queue and not given to the system: 8192 bytes (ZMQ_OUT_BATCH_SIZE)."""

_LOOKS = 2
"""So many looks ago, at least 0.1 seconds, is long enough for ZeroMQ's thread to have had its turn."""


class Progress:
    """Of one socket: what left, and how many messages at most did not reach somebody.

    Attributes:
        left: messages that have left.
    """

    def __init__(self, settings: SocketSettings) -> None:
        """Nothing was sent.

        Args:
            settings: what was opened. A socket that connects has a queue for each endpoint, whoever is there; one
                that is connected to has one for each connection, as long as that lasts.
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
        """Note what the frames carry that are among these messages, which were sent."""
        if MultiMessage in {type(messages[0]), type(messages[-1])}:
            self._more += message_count(messages) - len(messages)

    def given(self, sent: int) -> int:
        """What was given to ZeroMQ in so many messages, of a frame as many as it carries."""
        return sent + self._more

    def look(self, sent: int, traffic: Sequence[Traffic | None]) -> None:
        """Look at all connections, so much later than the last time that ZeroMQ's thread may have had its turn.

        Args:
            sent: messages given to ZeroMQ so far.
            traffic: of each connection; None where it is not known.
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
        """Whether nothing stands in the way of any connection."""
        there = len(traffic) >= max(1, self._queues)
        return there and all(one is not None and one.unacknowledged <= _LITTLE for one in traffic)

    def unsettled(self, sent: int) -> bool:
        """Whether anything may be in ZeroMQ's queues still."""
        return self.given(sent) > self.left

    def has_left(self, sent: int) -> None:
        """All that was given to ZeroMQ has left."""
        self.left = self.given(sent)

    @property
    def behind(self) -> bool:
        """Whether a subscriber has fallen behind and may be so still."""
        return self._slow_since is not None

    def falls_behind(self, sent: int) -> None:
        """One of several subscribers had no room; what ZeroMQ skips for it from now on, it does not tell."""
        if self._slow_since is None:
            self._slow_since = self.given(sent)

    def caught_up(self, sent: int) -> None:
        """Nobody is behind any more."""
        self._possible[SLOW_SUBSCRIBER] += self._behind(sent)
        self._slow_since = None

    def _behind(self, sent: int) -> int:
        since = self._slow_since
        return 0 if since is None else self.given(sent) - since

    def remain(self, sent: int, connections: int, *, something: bool) -> None:
        """The socket was closed, and ZeroMQ may not have got rid of all that it was given.

        Args:
            sent: messages given to ZeroMQ.
            connections: how many there were.
            something: it is certain that something was left: if all seemed to have left by then, that was wrong.
        """
        most = self.given(sent) - self.left
        if something and not most:
            most = self.given(sent)
        if self._hwm and not self._more:
            most = min(most, (self._hwm + _ENGINE) * max(1, self._queues, connections))
        if not self._within:
            self._possible[UNSENT] += most

    def possible(self, sent: int) -> dict[str, int]:
        """Messages that did not reach somebody, at most, by reason; none where that is certain."""
        found = self._possible.copy()
        found[SLOW_SUBSCRIBER] += self._behind(sent)
        return {reason: count for reason, count in found.items() if count}
