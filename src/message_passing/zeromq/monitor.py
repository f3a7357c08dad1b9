"""What a socket's monitor says of its peers (zmq_socket_monitor(3)).

It is read without waiting, on the thread that asks. The receiving end has no high-water mark: one that is
full would stop ZeroMQ's own thread in the middle of its work.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

import zmq

from message_passing.zeromq.sockets import disown

if TYPE_CHECKING:
    from message_passing.zeromq.sockets import OpenSocket

_EVENT = struct.Struct("=H")  # the first frame: the event, 16 bits, and its value, 32 bits

_numbers = itertools.count(1)


class Monitor:
    """The events of one socket, from when it is made: make it before the socket is bound or connected."""

    def __init__(self, opened: OpenSocket, events: int) -> None:
        self._socket = opened.socket
        address = f"inproc://message-passing.monitor.{next(_numbers)}"
        self._socket.monitor(address, events)
        self.events: zmq.Socket[bytes] = opened.context.socket(zmq.PAIR)
        self.events.linger = 0
        self.events.rcvhwm = 0
        self.events.connect(address)

    def read(self) -> list[int]:
        """The events since the last time, as `zmq.EVENT_*` numbers; an empty list when there are none."""
        found: list[int] = []
        while True:
            try:
                parts = self.events.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return found
            found.append(_EVENT.unpack_from(parts[0])[0])

    def end(self) -> None:
        """Stop the events: whoever waits for one gets `EVENT_MONITOR_STOPPED`. From the socket's thread."""
        self._socket.disable_monitor()

    def close(self) -> None:
        """Close the receiving end. From the thread that reads."""
        self.events.close(0)


class PeerCount:
    """How many peers are connected to a socket just now."""

    def __init__(self, opened: OpenSocket) -> None:
        self._monitor = Monitor(opened, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._count = 0

    def now(self) -> int:
        """The count, after all that has happened so far."""
        for event in self._monitor.read():
            self._count += 1 if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else -1
        return self._count

    def close(self) -> None:
        """Stop counting."""
        self._monitor.end()
        self._monitor.close()

    def abandon(self) -> None:
        """In a forked child: the events are the parent's."""
        disown(self._monitor.events)
