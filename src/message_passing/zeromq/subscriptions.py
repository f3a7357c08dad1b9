"""What a PUB's receivers have subscribed to, and whether the one that is there now has done so yet.

A receiver that comes back is sent at once what waited for it; its subscription arrives a moment later. If we have
closed by then, the system resets the connection, since data has come that nobody will read (RFC 2525, 2.17), and
throws away what it had taken from us and not brought there yet. So closing waits for the subscription.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from message_passing.zeromq.peers import Peers

_GLANCE = 50
"""Milliseconds between two looks whether somebody has come back."""


class Subscriptions:
    """What an XPUB socket hears.

    Attributes:
        prefixes: what is subscribed to.
    """

    def __init__(self, socket: zmq.Socket[bytes], peers: Peers | None) -> None:
        """Nobody has subscribed.

        Args:
            socket: the XPUB. With XPUB_VERBOSE it hears a receiver that comes back subscribe again.
            peers: of a socket that connects, over whose queue a receiver's end and return have no power.
        """
        self.prefixes: set[bytes] = set()
        self._socket = socket
        self._peers = peers
        self._answered = 0  # how many connections there had been when somebody subscribed
        self._settled = 0  # how much had been sent when the receiver was known to be there

    def hear(self) -> None:
        """Take note of what has arrived: 1 and a prefix for a subscription, 0 and a prefix when its last one ends."""
        if not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            return
        subscribed = False
        try:
            while True:
                heard = self._socket.recv(zmq.NOBLOCK)
                if heard[:1] == b"\x01":
                    self.prefixes.add(heard[1:])
                    subscribed = True
                elif heard[:1] == b"\x00":
                    self.prefixes.discard(heard[1:])
        except zmq.Again:
            pass
        if subscribed and self._peers:
            self._peers.look()  # that it connected was told before
            self._answered = self._peers.met

    def settle(self, sent: int) -> None:
        """Note that so many messages had been sent while the receiver was there, if it is."""
        if self._peers and self._is_there(self._peers):
            self._settled = sent

    def await_return(self, sent: int, milliseconds: int) -> int:
        """Wait so long for a receiver that went away, when something may have been sent to it since.

        Returns:
            How many milliseconds are left.
        """
        deadline, left = monotonic() + milliseconds / 1000, milliseconds
        while self._peers and sent > self._settled and left > 0 and not self._is_there(self._peers):
            self._socket.poll(min(left, _GLANCE), zmq.POLLIN)
            self.hear()
            left = max(0, int((deadline - monotonic()) * 1000))
        return left

    def _is_there(self, peers: Peers) -> bool:
        return peers.now() > 0 and peers.met == self._answered
