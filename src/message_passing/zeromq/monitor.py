"""A socket's monitor: its events about peers (zmq_socket_monitor(3)).

It is read without waiting, on the caller's thread. The receiving end has no high-water mark: a full one would
stop ZeroMQ's own thread in the middle of its work.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, NamedTuple

import zmq

if TYPE_CHECKING:
    from message_passing.zeromq.sockets import OpenSocket

_EVENT = struct.Struct("=HI")  # the first frame: the event, 16 bits, and its value, 32 bits

_numbers = itertools.count(1)


class Event(NamedTuple):
    """One event.

    Attributes:
        number: a `zmq.EVENT_*`.
        value: depending on the event, a descriptor, a status or an error number.
        endpoint: the socket's endpoint concerned, as ZeroMQ writes it.
    """

    number: int
    value: int
    endpoint: str


class Monitor:
    """The events of one socket since this was created: create it before the socket is bound or connected."""

    def __init__(self, opened: OpenSocket, events: int) -> None:
        self._socket = opened.socket
        self._parts: list[bytes] = []
        self._found: list[Event] = []
        address = f"inproc://message-passing.monitor.{next(_numbers)}"
        self._socket.monitor(address, events)
        self.events: zmq.Socket[bytes] = opened.context.socket(zmq.PAIR)
        self.events.linger = 0
        self.events.rcvhwm = 0
        self.events.connect(address)

    def read(self) -> list[Event]:
        """The events since the last call; an empty list when there are none."""
        while True:
            try:
                self._parts.append(self.events.recv(zmq.NOBLOCK))
            except zmq.Again:
                found, self._found = self._found, []
                return found
            if not self.events.getsockopt(zmq.RCVMORE):
                # A signal handler that raises may interrupt between any two steps: what was read by then is kept.
                parts, self._parts = self._parts[-2:], []
                if len(parts) == 2:
                    number, value = _EVENT.unpack_from(parts[0])
                    self._found.append(Event(number, value, parts[1].decode("utf-8", "replace")))

    def end(self) -> None:
        """Stop the events: a waiting reader gets `EVENT_MONITOR_STOPPED`. From the socket's thread."""
        self._socket.disable_monitor()

    def close(self) -> None:
        """Close the receiving end. From the thread that reads."""
        self.events.close(0)
