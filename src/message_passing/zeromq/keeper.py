"""A thread beside a receiving socket: new senders are heard, and refusals noticed, while its own thread is busy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.peers import STOPPED, Peers, Returning

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.notices import Notices
    from message_passing.zeromq.sockets import OpenSocket

_GLANCE = 1000
"""Milliseconds between two looks whether it is time to knock again where we were refused."""


class Keeper:
    """Reads the socket's monitor, and calls into the socket, under its lock, when that is needed.

    ZeroMQ sends a SUB socket's subscription to a new publisher only when a call into the socket comes along. While
    the receiving thread is busy with what it received, there is none, and all that the publisher sends is lost.
    The monitor tells of the new publisher; one call into the socket is enough.
    """

    def __init__(self, opened: OpenSocket, lock: threading.Lock, notices: Notices) -> None:
        self.wake: Callable[[], object] = lambda: None
        self._open = opened
        self._lock = lock
        self._peers = Peers(opened, notices)
        self._returning = Returning(monotonic)
        self._thread = threading.Thread(target=self._run, name="message-passing-keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        subscribes = self._open.socket.type == zmq.SUB
        pause = _GLANCE if self._open.settings.connect else None  # whoever binds is not refused by anybody
        try:
            while True:
                self._peers.monitor.events.poll(pause)
                events = self._peers.look()
                if any(event.number == STOPPED for event in events):
                    return
                ready = 0
                with self._lock:
                    self._returning.look_after(self._open, self._peers)
                    if subscribes and events:
                        ready = int(self._open.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN
                if ready:
                    self.wake()
        finally:
            self._peers.monitor.close()

    def met(self) -> bool:
        """Whether any peer has ever been connected."""
        return bool(self._peers.met)

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._lock:
            self._peers.monitor.end()
        self._thread.join()
