"""A thread beside a receiving socket: notices new senders and rejections, and watches memory."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.intake_limiter import IntakeLimiter
from message_passing.zeromq.monitor_events import EVENT_MONITOR_STOPPED
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.reconnector import Reconnector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_passing.zeromq.connection_health import ConnectionHealth
    from message_passing.zeromq.descriptors import Connection
    from message_passing.zeromq.memory import Memory
    from message_passing.zeromq.received import Deliveries
    from message_passing.zeromq.sockets import OpenSocket
    from message_passing.zeromq.throttled_warnings import ThrottledWarnings

_SOON = 100
"""Milliseconds between two checks for reconnects that ZeroMQ does not do itself, while any is due."""


class MonitorThread:
    """Reads the socket's monitor, and calls into the socket, under its lock, when that is needed.

    ZeroMQ sends a SUB socket's subscription to a new publisher only during a call into the socket. While
    the receiving thread is busy with what it received, there is none, and all that the publisher sends is lost.
    The monitor reports the new publisher; one call into the socket is enough.
    """

    def __init__(
        self,
        opened: OpenSocket,
        lock: threading.Lock,
        notices: ThrottledWarnings,
        deliveries: Deliveries,
        memory: Memory | None,
        *,
        queue_bytes: int,
        maxmsgsize: int,
    ) -> None:
        """Begin: before the socket is bound or connected.

        Args:
            opened: the socket.
            lock: held during calls into it.
            notices: where to report about peers.
            deliveries: what was received, and on which connection.
            memory: the process's memory, which the monitor thread will close; None where it is not watched.
            queue_bytes: the most of it that arrived messages may use; 0 for no bound.
            maxmsgsize: bytes of a message; -1 for no limit.
        """
        self.wake: Callable[[], object] = lambda: None
        self._open = opened
        self._lock = lock
        self._deliveries = deliveries
        self._peers = Peers(opened, notices)
        self._memory = memory
        self.intake = IntakeLimiter(
            self._peers.connections,
            self._ask,
            notices,
            bound=queue_bytes,
            maxmsgsize=maxmsgsize,
            memory=self._memory,
        )
        self._ending = self._finishing = False
        self._paused: dict[Connection, int] = {}
        self._told: set[Connection] = set()
        self._reconnector = Reconnector(monotonic)
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name="message-passing-monitor", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending
            if queue_bytes:  # nobody else keeps to that
                raise
            self._thread = None

    def _run(self) -> None:
        subscribes = self._open.socket.type == zmq.SUB
        try:
            while True:
                soon = _SOON if self._reconnector.waits else self._peers.health.pause
                self._peers.monitor.events.poll(self.intake.pace or soon)
                events = self._peers.look()
                if any(event.number == EVENT_MONITOR_STOPPED for event in events):
                    return
                ready = 0
                with self._lock:
                    if self._reconnector.due(self._peers):
                        # When a connection ends, what had arrived on it and was not received yet is lost.
                        ready = int(self._open.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN
                        if not ready:
                            self._reconnector.look_after(self._open, self._peers)
                    if subscribes and events:
                        ready = int(self._open.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN
                if ready:
                    self.wake()
                if self._finishing:
                    self.finish(everybody=True)  # peers that connected all the same
                elif not self._ending:
                    self.intake.tick()
        finally:
            self._peers.monitor.close()
            if self._memory:
                self._memory.close()

    def _ask(self, exact: bool) -> tuple[bool, dict[int, int]]:
        """For `IntakeLimiter`."""
        with self._lock:
            ready = bool(int(self._open.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)
            drained = self._deliveries.drained or not ready
            self._deliveries.exact = exact
            delivered = self._deliveries.take()
        if ready:  # the query has consumed the signal
            self.wake()
        return drained, delivered

    @property
    def health(self) -> ConnectionHealth:
        """The state of the connections."""
        return self._peers.health

    @property
    def cut_off(self) -> int:
        """How often ZeroMQ has ended a connection for good because of what it had received."""
        return self._peers.cut_off

    def calm(self, seconds: float) -> bool:
        """Whether no connection has ended for this long."""
        return self._peers.calm(seconds)

    def peers(self) -> int:
        """How many peers are connected and have completed the handshake, as of the last check."""
        return len(self._peers.descriptors)

    def failures(self) -> Mapping[str, int]:
        """How many handshakes have failed, by reason."""
        return dict(self._peers.failures)

    def met(self) -> bool:
        """Whether any peer has ever been connected."""
        return bool(self._peers.met)

    def has_several(self) -> bool:
        """Whether more than one peer is connected, as far as that is known. Any thread may ask."""
        return len(self._peers.connections) > 1

    def address_of(self, descriptor: str) -> str:
        """A peer's address, by its connection's descriptor, or as the only peer; empty if unknown."""
        connections = self._peers.connections
        if descriptor:
            found = connections.at(int(descriptor))
        else:
            (found,) = one if len(one := list(connections)) == 1 else (None,)
        return found.peer if found else ""

    def pause(self) -> None:
        """Accept no more data from any peer, until `resume`."""
        connections = self._peers.connections
        for one in connections:
            if connections.pause([one]) and (traffic := connections.traffic(one)):
                self._paused[one] = traffic.read + traffic.unread

    def resume(self) -> None:
        """Accept all data: the socket is about to close, and the time that takes bounds the amount."""
        self._ending = True
        self._peers.connections.resume(self._peers.connections)

    def finish(self, *, everybody: bool) -> bool:
        """Have peers end their connections, and accept no new ones: see `Receiver`."""
        connections = self._peers.connections
        self._refuse_new()
        connections.resume(connections)
        left = [one for one in connections if one not in self._told]
        chosen = [one for one in left if everybody or self._moves(one)]
        connections.finish(chosen)
        self._told.update(chosen)
        self._finishing = everybody
        return len(chosen) == len(left)

    def _moves(self, connection: Connection) -> bool:
        """It was not paused, or what waited at its sender comes now."""
        if connection not in self._paused:
            return True
        traffic = self._peers.connections.traffic(connection)
        return traffic is None or traffic.read + traffic.unread > self._paused[connection]

    def finished(self) -> bool:
        """Whether every connection has ended."""
        return not len(self._peers.connections)

    def abort(self) -> int:
        """End the remaining connections, and accept none; return the bytes left unread in the system."""
        connections = self._peers.connections
        traffic = [connections.traffic(one) for one in connections]
        connections.disconnect(connections)
        with self._lock:
            self._open.stop_listening()
        return sum(one.unread for one in traffic if one)

    def _refuse_new(self) -> None:
        """Accept no more connections, without closing the listeners: libzmq would end their connections as well."""
        self._peers.connections.refuse_new()
        for endpoint in self._open.settings.bind:
            if endpoint.startswith("ipc://"):
                with contextlib.suppress(OSError):  # it has none, or none any more
                    os.unlink(endpoint.removeprefix("ipc://"))  # noqa: PTH108

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            self._peers.monitor.end()
        if self._thread:
            self._thread.join()
        else:
            self._peers.monitor.close()
