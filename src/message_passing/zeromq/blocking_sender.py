"""Blocking sends: for commands that wait until a peer has accepted their messages, and say why when none has.

ZeroMQ acknowledges nothing. What can be known: a peer was connected and had subscribed, and what was sent to it has
left this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic
from message_passing.zeromq.monitor_events import (
    CONNECTION_BEGUN,
    HANDSHAKE_FAILURES,
)
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.reconnector import Reconnector
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from message_passing.zeromq.settings import SocketSettings

_PEERS_INTERVAL = 0.05
"""Seconds between two polls of the peers, while there is something to send."""


class BlockingSender:
    """One sending socket, for one thread.

    Attributes:
        sent: messages given to ZeroMQ.
        prefixes: the subscribed prefixes; only a PUB receives them.
        told: the notices about peers that rejected us, or were rejected.
        connected: how many connections were established, with or without a handshake.
        failed: how handshakes failed: `zmq.EVENT_HANDSHAKE_FAILED_*`.
    """

    def __init__(self, settings: SocketSettings) -> None:
        """Open it.

        Args:
            settings: what to open.

        Raises:
            OpenError: see `OpenSocket`.
        """
        self.sent = 0
        self.prefixes: set[bytes] = set()
        self.told: list[str] = []
        self.connected = 0
        self.failed: set[int] = set()
        self._notices = ThrottledWarnings()
        self._opened = OpenSocket(settings, self._notices)
        self._peers = Peers(self._opened, self._notices)
        self._reconnector = Reconnector(monotonic)
        self._looked = 0.0
        self._socket = self._opened.socket
        self._publishes = settings.socket_type == "PUB"
        self._poller = zmq.Poller()
        self._poller.register(self._peers.monitor.events, zmq.POLLIN)
        if self._publishes:
            self._poller.register(self._socket, zmq.POLLIN)
        try:
            self._opened.attach()
        except BaseException:
            self.close(0)
            raise

    def peers(self) -> int:
        """How many peers are connected and have completed the handshake."""
        return self._peers.now()

    def ever(self) -> bool:
        """Whether any peer has."""
        return bool(self._peers.met)

    def wants(self, message: bytes) -> bool:
        """Whether a connected peer accepts this message."""
        if self._publishes:
            return any(message.startswith(prefix) for prefix in self.prefixes)
        return self._peers.now() > 0

    def look(self) -> None:
        """Process the peers' events and subscriptions, without waiting."""
        self._looked = monotonic()
        for event in self._peers.look():
            self.connected += event.number in CONNECTION_BEGUN
            self.failed |= {event.number} & HANDSHAKE_FAILURES.keys()
        self._reconnector.look_after(self._opened, self._peers)
        self.told += [text for text in self._notices.take() if text not in self.told]
        while self._publishes and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            # 1 and a prefix begin a subscription; 0 and a prefix end it.
            heard = self._socket.recv(zmq.NOBLOCK)
            (self.prefixes.add if heard[:1] == b"\x01" else self.prefixes.discard)(heard[1:])

    def wait(self, seconds: float) -> None:
        """Wait for at most this long for peer activity, and process it."""
        self._poller.poll(max(1, int(min(seconds, _PEERS_INTERVAL) * 1000)))
        self.look()

    def send(self, message: bytes, patience: float) -> bool:
        """Send a message once a peer that wants it is connected and has room.

        Args:
            message: what to send.
            patience: the most seconds that this may take.

        Returns:
            Whether it was sent.
        """
        deadline = monotonic() + patience
        while True:
            if monotonic() - self._looked > _PEERS_INTERVAL:
                self.look()
            wanted = self.wants(message)
            if wanted and self._send(message):
                return True
            if (left := deadline - monotonic()) <= 0:
                return False
            if wanted:
                self._socket.poll(max(1, int(min(left, _PEERS_INTERVAL) * 1000)), zmq.POLLOUT)
            else:
                self.wait(left)

    def receive(self, seconds: float) -> bool:
        """Wait for at most this long for a message, and discard it; return whether one came. For a SUB."""
        return bool(self._socket.poll(int(seconds * 1000), zmq.POLLIN))

    def _send(self, message: bytes) -> bool:
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self.sent += 1
        return True

    def close(self, seconds: float) -> bool:
        """Close it, waiting for at most this long for sent messages to leave.

        Returns:
            Whether all of it has left.
        """
        self._peers.close()
        return self._opened.close(max(0, int(seconds * 1000))) or not self.sent
