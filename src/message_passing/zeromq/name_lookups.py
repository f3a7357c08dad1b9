"""Which endpoints ZeroMQ tries in vain since their host's name does not resolve, as its monitor tells it.

It looks such a name up again after each `reconnect_ivl`, ten times a second and more, in its own thread. So these are
disconnected, and connected again later (`Reconnector`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from message_passing.zeromq.endpoints import host_name

if TYPE_CHECKING:
    from message_passing.zeromq.monitor import Event

_RETRIED = int(zmq.EVENT_CONNECT_RETRIED)
_TRIED = {int(zmq.EVENT_CONNECT_DELAYED), int(zmq.EVENT_CLOSED), int(zmq.EVENT_DISCONNECTED)}
"""What an attempt to connect begins or ends with, to an address that is known."""


class NameLookups:
    """Of one socket that connects. For one thread, or under a lock; `unresolved` may be emptied from any.

    Attributes:
        unresolved: endpoints whose name was looked up in vain.
    """

    def __init__(self) -> None:
        """None yet."""
        self.unresolved: set[str] = set()
        self._tried: set[str] = set()  # with an address, since ZeroMQ last said that it tries again

    def note(self, event: Event) -> None:
        """Take note of an event: only an attempt without an address is not begun before it is put off."""
        if event.number not in _TRIED and event.number != _RETRIED:
            return
        if not host_name(event.endpoint):
            return
        if event.number != _RETRIED:
            self._tried.add(event.endpoint)
        elif event.endpoint in self._tried:
            self._tried.discard(event.endpoint)
        else:
            self.unresolved.add(event.endpoint)
