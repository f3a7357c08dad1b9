"""Which endpoints ZeroMQ has given up: it reports when it will retry, and nothing for the others.

It does not retry where a connection ended because of what it had received: a frame of more than ZMQ_MAXMSGSIZE bytes,
or of more than there is memory for (libzmq's `session_base_t::engine_error`). Nothing ever comes from there again
without a new connect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.zeromq.monitor_events import (
    EVENT_CONNECT_RETRIED,
    EVENT_CONNECTED,
    EVENT_DISCONNECTED,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.monitor import Event


SILENCE = 1.0
"""Seconds after a connection's end within which ZeroMQ announces a retry, if any: it takes microseconds."""


class GivenUp:
    """The given-up endpoints of one connecting socket. For one thread, or under a lock."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start without any.

        Args:
            clock: seconds, monotonic.
        """
        self._clock = clock
        self._ended: dict[str, tuple[float, bool]] = {}  # at most one for each endpoint

    def note(self, event: Event, *, shaken: bool) -> None:
        """Process an event; for a connection's end, with whether its handshake had completed."""
        if event.number == EVENT_DISCONNECTED:
            self._ended[event.endpoint] = self._clock(), shaken
        elif self._ended and event.number in (EVENT_CONNECT_RETRIED, EVENT_CONNECTED):
            self._ended.pop(self._known_as(event.endpoint), None)

    def _known_as(self, endpoint: str) -> str:
        """Match endpoints: ZeroMQ writes a host's name at first, and its address once resolved."""
        if endpoint in self._ended:
            return endpoint
        port = endpoint.rpartition(":")[2]
        return next((one for one in self._ended if one.rpartition(":")[2] == port), "")

    def take(self) -> list[tuple[str, bool]]:
        """The endpoints given up since the last call, and whether their handshake had completed."""
        if not self._ended:
            return []
        latest = self._clock() - SILENCE
        found = [(endpoint, shaken) for endpoint, (since, shaken) in self._ended.items() if since <= latest]
        for endpoint, _ in found:
            del self._ended[endpoint]
        return found
