"""A budget for what peers may send to a send-only socket: a handshake, and subscriptions.

ZeroMQ keeps subscriptions in a tree, for some 50 to 200 bytes of memory and 100 ns for each byte that a peer sends,
within the next call into the socket and for as long as the peer keeps sending. It has no bound for that, so the
bytes of a connection (and its frame size: `sockets.SENDERS_FRAME`) are bounded; a peer that sends more is
disconnected, and ZeroMQ forgets its subscriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.descriptors import Connection

EACH = 32 << 10
"""Bytes that one connection may send at once: a thousand prefixes of 30 bytes."""

EACH_SECOND = 16
"""Additional bytes for each second of a connection: heartbeats, and occasional changes of subscriptions."""

TOGETHER = 512 << 10
"""Bytes that all connections together may have sent beyond their per-second allowance."""

FAIR = EACH // 8
"""Bytes up to which no single connection is blamed when all together have subscribed to too much."""

GONE = 128 << 10
"""Bytes for each second that ended connections may have sent, and `TOGETHER` at once. Above that no peer can connect
until half of `TOGETHER` is forgotten: ZeroMQ keeps what they sent, and processes it."""

_FORGETS = 1.0
"""Seconds between ending one connection and the next, when all together have subscribed to too much."""


class PeerBudget:
    """What each connection of a socket has sent to it.

    Attributes:
        moves: whether any has sent something between the last two checks.
        crowded: whether ended connections sent so much that no peer should connect for now.
        gone: bytes that these sent, beyond what may be forgotten.
    """

    def __init__(self) -> None:
        """Start without any."""
        # For each connection, what it sent beyond its allowance, all that it sent, and the maximum of the former.
        self._seen: dict[Connection, tuple[float, int, float]] = {}
        self._looked = self._blamed = 0.0
        self.moves = self.crowded = False
        self.gone = 0.0

    def excess(
        self, traffic: Mapping[Connection, Traffic | None], now: float, *, too_many: bool
    ) -> dict[Connection, int]:
        """The connections that have sent too much, with their total bytes.

        Args:
            traffic: all connections and their traffic; None where unknown.
            now: seconds, monotonic.
            too_many: whether all of them together have subscribed to too much: the one that sent most is
                blamed, if that is more than `FAIR`: the sender may not have noticed yet that the others have gone.
        """
        passed_seconds, self._looked = now - self._looked, now
        allowance = EACH_SECOND * passed_seconds
        seen, self._seen = self._seen, {}
        self.moves = False
        for connection, passed in traffic.items():
            if passed is not None:
                over, before, most = seen.get(connection, (0.0, 0, 0.0))
                self.moves = self.moves or passed.read != before
                over = max(0.0, over - allowance) + passed.read - before
                self._seen[connection] = (over, passed.read, max(most, over))
        self._count_ended(seen, passed_seconds)
        found = [one for one, (over, _, _) in self._seen.items() if over > EACH]
        others = sorted(self._seen.keys() - {*found}, key=lambda one: self._seen[one][0], reverse=True)
        # Whether one was enough shows once ZeroMQ has forgotten its subscriptions, at the sender's next call.
        if too_many and others and now - self._blamed >= _FORGETS:
            worst = max(others, key=lambda one: self._seen[one][2])
            if self._seen[worst][2] >= FAIR:
                others.remove(worst)
                found.append(worst)
                self._blamed = now
        together = sum(self._seen[one][0] for one in others)
        for one in others:
            if together <= TOGETHER:
                break
            found.append(one)
            together -= self._seen[one][0]
        return {one: self._seen[one][1] for one in found}

    def _count_ended(self, seen: Mapping[Connection, tuple[float, int, float]], seconds: float) -> None:
        ended = sum(over for one, (over, _, _) in seen.items() if one not in self._seen)
        self.gone = max(0.0, self.gone - GONE * seconds) + ended
        self.crowded = self.gone > (TOGETHER / 2 if self.crowded else TOGETHER)
