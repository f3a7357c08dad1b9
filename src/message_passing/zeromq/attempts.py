"""The outcomes of a socket's connection attempts, as its monitor reports them (zmq_socket_monitor(3)).

libzmq does not say why an attempt fails, but the order of its events does: an attempt whose address could be
looked up opens a descriptor, which is closed when it fails (CLOSED); one whose name could not be resolved is only put
off (CONNECT_RETRIED).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.zeromq.monitor_events import (
    EVENT_CLOSED,
    EVENT_CONNECT_DELAYED,
    EVENT_CONNECT_RETRIED,
    EVENT_CONNECTED,
    EVENT_DISCONNECTED,
    EVENT_HANDSHAKE_SUCCEEDED,
)

if TYPE_CHECKING:
    from message_passing.zeromq.monitor import Event


EVENTS = EVENT_CONNECT_DELAYED | EVENT_CONNECT_RETRIED
"""The events that a monitor must report for this, besides any others."""

_UNKNOWN = "the host name cannot be resolved"
_REFUSED, _SILENT = "nobody listens there", "no answer"
_MUTE = "the program there has not answered with a ZeroMQ handshake"
_BROKEN_OFF = (
    "the program there closes the connection: it is not ZeroMQ 4 or later, or its socket type does not fit"
)


_KINDS = {_REFUSED: "refused", _SILENT: "silent", _UNKNOWN: "unknown"}


class Attempts:
    """The attempts to connect to one endpoint."""

    def __init__(self) -> None:
        """Start without any."""
        self._obstacle = ""
        self._put_off = 0  # attempts since the last sign of an address, minus the one that follows it
        self._shaken = False

    def note(self, event: Event) -> None:
        """Process an event; only those of attempts have an effect."""
        number = event.number
        if number == EVENT_CONNECT_DELAYED:
            self._put_off = -1
            if self._obstacle in {"", _UNKNOWN}:
                self._obstacle = _SILENT
        elif number == EVENT_CLOSED:
            self._put_off = -1
            self._obstacle = _REFUSED
        elif number == EVENT_CONNECT_RETRIED:
            self._put_off += 1
            if self._put_off > 0:
                self._obstacle = _UNKNOWN
        elif number == EVENT_CONNECTED:
            self._shaken, self._obstacle = False, _MUTE
        elif number == EVENT_HANDSHAKE_SUCCEEDED:
            self._shaken, self._obstacle = True, ""
        elif number == EVENT_DISCONNECTED:
            self._put_off = -1
            self._obstacle = "" if self._shaken else _BROKEN_OFF

    @property
    def obstacle(self) -> str:
        """Why no peer is connected, in words; empty if unknown."""
        return self._obstacle

    @property
    def kind(self) -> str:
        """The kind of obstacle: `refused`, `silent` or `unknown`; empty for any other, or if there is none."""
        return _KINDS.get(self._obstacle, "")

    @property
    def reached(self) -> bool:
        """Whether connections are accepted, but no handshake completes."""
        return self._obstacle in {_MUTE, _BROKEN_OFF}
