"""Endpoints that ZeroMQ cannot reach because their host name does not resolve, as its monitor shows.

It looks such a name up again after each `reconnect_ivl`, ten times a second and more, in its own thread. So these are
disconnected, and reconnected later (`Reconnector`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.zeromq.endpoints import host_name
from message_passing.zeromq.monitor_events import (
    EVENT_CLOSED,
    EVENT_CONNECT_DELAYED,
    EVENT_CONNECT_RETRIED,
    EVENT_DISCONNECTED,
)

if TYPE_CHECKING:
    from message_passing.zeromq.monitor import Event

_TRIED = {EVENT_CONNECT_DELAYED, EVENT_CLOSED, EVENT_DISCONNECTED}
"""The first or last event of an attempt to connect to a known address."""


class NameLookups:
    """The lookups of one connecting socket. For one thread, or under a lock; any thread may empty `unresolved`.

    Attributes:
        unresolved: endpoints whose name could not be resolved.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.unresolved: set[str] = set()
        self._tried: set[str] = set()  # with an address, since ZeroMQ last announced a retry

    def note(self, event: Event) -> None:
        """Process an event: only an attempt without an address is put off before it has begun."""
        if event.number not in _TRIED and event.number != EVENT_CONNECT_RETRIED:
            return
        if not host_name(event.endpoint):
            return
        if event.number != EVENT_CONNECT_RETRIED:
            self._tried.add(event.endpoint)
        elif event.endpoint in self._tried:
            self._tried.discard(event.endpoint)
        else:
            self.unresolved.add(event.endpoint)
