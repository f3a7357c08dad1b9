"""When to connect again where ZeroMQ does not: to who refused us or sent too much, or whose name is unknown."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.peers import Peers
    from message_passing.zeromq.sockets import OpenSocket

_FORGOTTEN = 60.0
"""Seconds after which who refuses us, or sends what cannot be read, is one who does so for the first time."""


class Reconnector:
    """When to connect again where we were refused: the key may be allowed by then, or the server be another.

    And where the host's name does not resolve: until then the endpoint is disconnected, so that nobody looks it up.
    """

    def __init__(self, clock: Callable[[], float], first: float = 0.5, longest: float = 5.0) -> None:
        """Nobody has refused us.

        Args:
            clock: seconds, monotonic.
            first: seconds until the first try; they double with each.
            longest: what they grow to.
        """
        self._clock = clock
        self._first, self._longest = first, longest
        self._due: dict[str, float] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # the next one, and when the last one ended

    @property
    def waits(self) -> bool:
        """Whether there will be something to do before long."""
        return bool(self._due)

    def due(self, peers: Peers) -> bool:
        """Whether there is something to look after now."""
        return bool(peers.refused or peers.lookups.unresolved) or (
            bool(self._due) and min(self._due.values()) <= self._clock()
        )

    def look_after(self, opened: OpenSocket, peers: Peers) -> None:
        """Connect again what is due. From the socket's thread, or under its lock."""
        unresolved = peers.lookups.unresolved
        if not (peers.refused or unresolved or self._due):
            return
        now = self._clock()
        while unresolved:
            endpoint = unresolved.pop()
            if endpoint not in self._due:
                opened.disconnect(endpoint)
                peers.refused.add(endpoint)
        while peers.refused:
            endpoint = peers.refused.pop()
            pause, since = self._pauses.get(endpoint, (self._first, now))
            if now - since > _FORGOTTEN:
                pause = self._first
            again = now + pause * random.uniform(0.5, 1)  # noqa: S311 - so that not all come at once
            self._pauses[endpoint] = min(2 * pause, self._longest), again
            self._due.setdefault(endpoint, again)
        for endpoint in [endpoint for endpoint, due in self._due.items() if due <= now]:
            del self._due[endpoint]
            opened.connect_again(endpoint)
