"""What becomes of a socket's attempts to connect, as its monitor tells it (zmq_socket_monitor(3)).

libzmq says nothing of why an attempt fails, but the order of its events does: an attempt whose address could be
looked up opens a descriptor, which is closed when it fails (CLOSED); one whose name could not be resolved is only put
off (CONNECT_RETRIED).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from message_passing.zeromq.monitor import Event

_DELAYED, _RETRIED = int(zmq.EVENT_CONNECT_DELAYED), int(zmq.EVENT_CONNECT_RETRIED)
_CLOSED, _CONNECTED = int(zmq.EVENT_CLOSED), int(zmq.EVENT_CONNECTED)
_SUCCEEDED, _DISCONNECTED = int(zmq.EVENT_HANDSHAKE_SUCCEEDED), int(zmq.EVENT_DISCONNECTED)

EVENTS = _DELAYED | _RETRIED
"""What a monitor must report for this besides what else is asked of it."""

_UNKNOWN = "the host name cannot be resolved"
_REFUSED, _SILENT = "nobody listens there", "no answer"
_MUTE = "the program there has not answered with a ZeroMQ handshake"
_BROKEN_OFF = (
    "the program there closes the connection: it is not ZeroMQ 4 or later, or its socket type does not fit"
)


_KINDS = {_REFUSED: "refused", _SILENT: "silent", _UNKNOWN: "unknown"}


class Attempts:
    """Those to connect to one endpoint."""

    def __init__(self) -> None:
        """There was none yet."""
        self._obstacle = ""
        self._put_off = 0  # how often since the last sign of an address, less the one time that follows it
        self._shaken = False

    def note(self, event: Event) -> None:
        """Take note of an event; others than those of attempts change nothing."""
        number = event.number
        if number == _DELAYED:
            self._put_off = -1
            if self._obstacle in {"", _UNKNOWN}:
                self._obstacle = _SILENT
        elif number == _CLOSED:
            self._put_off = -1
            self._obstacle = _REFUSED
        elif number == _RETRIED:
            self._put_off += 1
            if self._put_off > 0:
                self._obstacle = _UNKNOWN
        elif number == _CONNECTED:
            self._shaken, self._obstacle = False, _MUTE
        elif number == _SUCCEEDED:
            self._shaken, self._obstacle = True, ""
        elif number == _DISCONNECTED:
            self._put_off = -1
            self._obstacle = "" if self._shaken else _BROKEN_OFF

    @property
    def obstacle(self) -> str:
        """Why nobody is connected, in words; empty if that is not known."""
        return self._obstacle

    @property
    def kind(self) -> str:
        """What kind of obstacle it is: `refused`, `silent`, `unknown`; empty for others and for none."""
        return _KINDS.get(self._obstacle, "")

    @property
    def reached(self) -> bool:
        """Whether somebody takes the connection, and there is no handshake."""
        return self._obstacle in {_MUTE, _BROKEN_OFF}
