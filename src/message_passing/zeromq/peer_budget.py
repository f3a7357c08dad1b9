"""What the peers of a socket that only sends may send to it: a handshake, and subscriptions.

ZeroMQ keeps subscriptions in a tree, for some 50 to 200 bytes of memory and 100 ns for each byte that a peer sends,
within the next call into the socket and for as long as the peer goes on. It has no bound for that, so the bound is
how many bytes a connection brings (and in frames of what size: `sockets.SENDERS_FRAME`); who brings more is
disconnected, and ZeroMQ forgets what it had subscribed to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.zeromq.connections import Traffic
    from message_passing.zeromq.descriptors import Connection

EACH = 32 << 10
"""Bytes that one connection may bring at once: a thousand prefixes of 30 bytes."""

EACH_SECOND = 16
"""And bytes for each second that it lasts: heartbeats, and subscriptions that change now and then."""

TOGETHER = 512 << 10
"""Bytes that all connections may have brought, over what their time allows."""

_FORGETS = 1.0
"""Seconds between two connections that are ended since all together have subscribed to too much."""


class PeerBudget:
    """What each connection of a socket has brought.

    Attributes:
        moves: whether any has brought something between the last two looks.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        # Of each connection, what it brought beyond its allowance, and all that it brought.
        self._seen: dict[Connection, tuple[float, int]] = {}
        self._looked = self._blamed = 0.0
        self.moves = False

    def excess(
        self, traffic: Mapping[Connection, Traffic | None], now: float, *, too_many: bool
    ) -> dict[Connection, int]:
        """Who has sent too much, and how many bytes in all.

        Args:
            traffic: all connections, and what passed through them; None where nobody knows.
            now: seconds, monotonic.
            too_many: whether all of them together have subscribed to too much: who sent most is to blame.
        """
        allowance, self._looked = EACH_SECOND * (now - self._looked), now
        seen, self._seen = self._seen, {}
        self.moves = False
        for connection, passed in traffic.items():
            if passed is not None:
                over, before = seen.get(connection, (0.0, 0))
                self.moves = self.moves or passed.read != before
                self._seen[connection] = (max(0.0, over - allowance) + passed.read - before, passed.read)
        found = [one for one, (over, _) in self._seen.items() if over > EACH]
        others = sorted(self._seen.keys() - {*found}, key=lambda one: self._seen[one][0], reverse=True)
        together = sum(self._seen[one][0] for one in others)
        # Whether one was enough shows when ZeroMQ has forgotten what it wanted, at the sender's next call.
        blames = too_many and now - self._blamed >= _FORGETS
        for one in others:
            if together <= TOGETHER and not blames:
                break
            found.append(one)
            together -= self._seen[one][0]
            if blames:
                blames, self._blamed = False, now
        return {one: self._seen[one][1] for one in found}
