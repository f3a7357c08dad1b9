"""When to reconnect where ZeroMQ does not: to peers that rejected us or sent too much, or have unknown names."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.peers import Peers
    from message_passing.zeromq.sockets import OpenSocket

_FORGOTTEN = 60.0
"""Seconds after which a peer that rejects us, or sends unreadable data, counts as doing so for the first time."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
"""Seconds until the first try, which double with each, and their maximum."""


class Reconnector:
    """When to reconnect after a rejection: the key may be allowed by then, or the server be another one.

    Also where the host name does not resolve: until then the endpoint is disconnected, to avoid lookups.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without rejections.

        Args:
            clock: seconds, monotonic.
        """
        self._clock = clock
        self._due: dict[str, float] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # the next one, and when the last one ended

    @property
    def waits(self) -> bool:
        """Whether something will be due before long."""
        return bool(self._due)

    def due(self, peers: Peers) -> bool:
        """Whether something is due now."""
        return bool(peers.refused or peers.lookups.unresolved) or (
            bool(self._due) and min(self._due.values()) <= self._clock()
        )

    def look_after(self, opened: OpenSocket, peers: Peers) -> None:
        """Reconnect what is due. From the socket's thread, or under its lock."""
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
            pause, since = self._pauses.get(endpoint, (_FIRST_PAUSE, now))
            if now - since > _FORGOTTEN:
                pause = _FIRST_PAUSE
            again = now + pause * random.uniform(0.5, 1)  # noqa: S311 - so that not all come at once
            self._pauses[endpoint] = min(2 * pause, _LONGEST_PAUSE), again
            self._due.setdefault(endpoint, again)
        for endpoint in [endpoint for endpoint, due in self._due.items() if due <= now]:
            del self._due[endpoint]
            opened.connect_again(endpoint)
