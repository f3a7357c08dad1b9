"""The live connections of one socket: their peers, their traffic, and how to end one.

ZeroMQ can neither end a single connection nor report its traffic. Its monitor names the file descriptor
of each (zmq_socket_monitor(3)), and the system has data on that: TCP_INFO, tcp(7). The descriptor is libzmq's: it
may be closed, and its number be another file's, at any moment. DISCONNECTED is queued before the descriptor is
closed, so a reader of all events knows of every connection that had ended by then; and the inode shows
whether a descriptor is still the same connection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios
from array import array
from typing import TYPE_CHECKING, NamedTuple

from message_passing.zeromq.descriptors import INTERNET, Connection, describe_connection, end, lent
from message_passing.zeromq.monitor_events import (
    CONNECTION_BEGUN,
    EVENT_CLOSED,
    EVENT_DISCONNECTED,
    EVENT_LISTENING,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from message_passing.zeromq.monitor import Event


_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)  # Linux only
_BYTES = struct.Struct("=120xQQ")  # struct tcp_info of linux/tcp.h: tcpi_bytes_acked, tcpi_bytes_received
_COUNT = struct.Struct("=i")

_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER of socket(7); Linux only
# The struct sock_filter and sock_fprog of linux/filter.h.
_INSTRUCTION, _PROGRAM = (struct.Struct("=HBBI"), struct.Struct("@HP"))
_NO_DATA = (
    # A segment that is only a TCP header passes; of any other not a byte is accepted.
    (0x30, 0, 0, 12),  # A = the header's length, in the upper half of byte 12 and in units of four bytes
    (0x54, 0, 0, 0xF0),
    (0x74, 0, 0, 2),
    (0x07, 0, 0, 0),  # X = A
    (0x80, 0, 0, 0),  # A = the segment's length
    (0x2D, 0, 1, 0),  # A > X?
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)
_NOTHING = ((0x06, 0, 0, 0),)


class Traffic(NamedTuple):
    """The traffic of a connection so far, in bytes on the wire.

    Attributes:
        read: what has arrived and was read by libzmq.
        unread: what has arrived and waits in the system.
        acknowledged: what was sent and acknowledged by the peer's system.
        unacknowledged: what libzmq has given to the system and the peer's system has not acknowledged.
    """

    read: int
    unread: int
    acknowledged: int
    unacknowledged: int


class Connections:
    """The live connections. For one thread, or under a lock."""

    def __init__(self) -> None:
        """Start without any."""
        self._alive: dict[int, Connection] = {}
        self._listeners: dict[int, Connection] = {}

    @property
    def listeners(self) -> list[Connection]:
        """The listening sockets: not connections, but accepted connections inherit what is set on them."""
        return list(self._listeners.values())

    def __len__(self) -> int:
        return len(self._alive)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._alive.values()))

    def __contains__(self, connection: Connection) -> bool:
        return self._alive.get(connection.descriptor) is connection

    def at(self, descriptor: int) -> Connection | None:
        """The connection with this descriptor: a message's `zmq.Frame.get("__fd")` (ZMQ_SRCFD in zmq_msg_get(3))."""
        return self._alive.get(descriptor)

    def note(self, event: Event) -> None:
        """Process an event; only the beginning and the end of a connection have an effect."""
        if event.number in CONNECTION_BEGUN:
            self._alive.pop(event.value, None)
            with contextlib.suppress(OSError):  # it has ended meanwhile
                self._alive[event.value] = describe_connection(
                    event.value, accepted=event.number == CONNECTION_BEGUN[0]
                )
        elif event.number == EVENT_DISCONNECTED:
            self._alive.pop(event.value, None)
        elif event.number == EVENT_LISTENING:
            with contextlib.suppress(OSError):
                inode = os.fstat(event.value).st_ino
                self._listeners[event.value] = Connection(event.value, inode, False, "", 0, 0)
        elif event.number == EVENT_CLOSED:
            self._listeners.pop(event.value, None)

    def pause(self, connections: Iterable[Connection]) -> int:
        """Accept no more data on these TCP connections, or listeners: the peer's system keeps and resends it.

        It is a packet filter (socket(7), SO_ATTACH_FILTER), the one way to slow down a peer whose messages libzmq
        would read: TCP loses nothing, acknowledgements and keepalive continue, and a connection accepted by a
        paused listener is paused from the beginning. How soon a peer continues after `resume` depends on its TCP: it
        retries at intervals that double, so the delay is about as long as the pause was. Linux only, and not for ipc.

        Returns:
            How many could be paused.
        """
        return sum(self._filter(one, _NO_DATA) for one in connections)

    def resume(self, connections: Iterable[Connection]) -> None:
        """Accept data from these again."""
        for one in connections:
            with contextlib.suppress(OSError), lent(one) as ours:  # it has ended, or was not paused
                ours.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)

    def refuse_new(self) -> None:
        """Accept no more connections, without closing the listeners: libzmq would end their connections as well."""
        for one in self.listeners:
            self._filter(one, _NOTHING)

    def _filter(self, connection: Connection, instructions: tuple[tuple[int, ...], ...]) -> bool:
        if _TCP_INFO is None:
            return False
        code = array("B", b"".join(_INSTRUCTION.pack(*one) for one in instructions))
        program = _PROGRAM.pack(len(instructions), code.buffer_info()[0])
        try:
            with lent(connection) as one:
                if one.family not in INTERNET:
                    return False
                one.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
        except OSError:  # it has ended, or the system has no such filters
            return False
        return True

    def finish(self, connections: Iterable[Connection]) -> None:
        """Tell these peers that nothing more will be sent to them: a ZeroMQ peer then ends its connection.

        It does so in an orderly way, so all that it had given to its system still arrives. Ended from here, or with
        zmq_unbind(3) or zmq_disconnect(3), what is on its way would be lost.
        """
        for connection in connections:
            with contextlib.suppress(OSError), lent(connection) as one:
                one.shutdown(socket.SHUT_WR)

    def traffic(self, connection: Connection) -> Traffic | None:
        """The traffic of a connection; None if it has ended, or for ipc or on other systems than Linux."""
        if _TCP_INFO is None or not connection.port:
            return None
        try:
            with lent(connection) as one:
                info = one.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES.size)
                unread, unacknowledged = _waiting(one, termios.FIONREAD), _waiting(one, termios.TIOCOUTQ)
        except OSError:
            self._forget(connection)
            return None
        acknowledged, received = _BYTES.unpack(info)
        return Traffic(max(0, received - unread), unread, acknowledged, unacknowledged)

    def disconnect(self, connections: Iterable[Connection]) -> int:
        """End these connections at once: libzmq sees them end as if the peer had gone.

        Returns:
            How many there were.
        """
        ended = 0
        for connection in [one for one in connections if one in self]:
            ended += end(connection)
            self._forget(connection)
        return ended

    def _forget(self, connection: Connection) -> None:
        if connection in self:
            del self._alive[connection.descriptor]


def _waiting(one: socket.socket, request: int) -> int:
    """Bytes in one of the system's queues of a socket: FIONREAD (SIOCINQ), TIOCOUTQ (SIOCOUTQ)."""
    (count,) = _COUNT.unpack(fcntl.ioctl(one, request, bytes(_COUNT.size)))
    return int(count)
