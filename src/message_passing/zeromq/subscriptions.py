"""What a PUB's receivers have subscribed to, and whether the one that is there now has done so yet.

A receiver that comes back is sent at once what waited for it; its subscription arrives a moment later. If we have
closed by then, the system resets the connection, since data has come that nobody will read (RFC 2525, 2.17), and
throws away what it had taken from us and not brought there yet. So closing waits for the subscription.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from message_passing.zeromq.peers import Peers

MOST_PREFIXES = 10_000
"""Different prefixes that the subscribers of one socket may ask for together."""

MOST_BYTES = 1 << 20
"""And the bytes of these. ZeroMQ keeps about 50 times that."""

_GLANCE = 50
"""Milliseconds between two looks whether somebody has come back."""

_AT_ONCE = 1000
"""Subscriptions that are taken note of at once: who sends them for ever must not keep the sender for ever."""


class Prefixes:
    """What is subscribed to, and which messages that is.

    Attributes:
        everything: whether somebody wants every message.
        changes: how often it has changed.
        size: bytes of all prefixes.
    """

    def __init__(self) -> None:
        """Nobody has subscribed."""
        self.everything = False
        self.changes = 0
        self.size = 0
        self._all: set[bytes] = set()
        self._shortest: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def note(self, heard: bytes) -> bool:
        """Take note of what an XPUB received; whether it began a subscription.

        Args:
            heard: 1 and a prefix for a subscription, 0 and a prefix when the last one to it ends (zmq_socket(3)).
                Anything else is no subscription, and means nothing.
        """
        begins, prefix = heard[:1] == b"\x01", heard[1:]
        if begins and prefix not in self._all:
            self._all.add(prefix)
            self.size += len(prefix)
        elif heard[:1] == b"\x00" and prefix in self._all:
            self._all.discard(prefix)
            self.size -= len(prefix)
        else:
            return begins
        self.changes += 1
        self.everything = b"" in self._all
        self._shortest = None
        return begins

    def too_many(self) -> bool:
        """Whether it is more than any honest subscribers want, and than we keep."""
        return len(self._all) > MOST_PREFIXES or self.size > MOST_BYTES

    def match(self, message: bytes) -> bool:
        """Whether somebody wants this message."""
        if self._shortest is None:
            self._shortest = _shortest(self._all)
        # Where none of them begins with another one, only the last that sorts before the message can begin it.
        place = bisect_right(self._shortest, message)
        return place > 0 and message.startswith(self._shortest[place - 1])

    def split(self, messages: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Messages that somebody wants, and those that nobody does, each in order."""
        wanted: list[bytes] = []
        others: list[bytes] = []
        match = self.match
        for message in messages:
            (wanted if match(message) else others).append(message)
        return wanted, others


def _shortest(prefixes: Collection[bytes]) -> list[bytes]:
    """The prefixes that none of the others begins, sorted."""
    found: list[bytes] = []
    for prefix in sorted(prefixes):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found


class Subscriptions:
    """What an XPUB socket hears.

    Attributes:
        prefixes: what is subscribed to.
    """

    def __init__(self, socket: zmq.Socket[bytes], peers: Peers | None, *, returns: bool) -> None:
        """Nobody has subscribed.

        Args:
            socket: the XPUB. With XPUB_VERBOSE it hears a receiver that comes back subscribe again.
            peers: the monitor, where there is one.
            returns: whether the socket connects: over its queue a receiver's end and return have no power.
        """
        self.prefixes = Prefixes()
        self._socket = socket
        self._peers = peers if returns else None
        self._answered = -1  # how many connections had ended when somebody last subscribed
        self._settled = 0  # how much had been sent when the receiver was known to be there

    def hear(self) -> bool:
        """Take note of what has arrived; whether what is wanted has changed.

        `recv` lets other threads run while ZeroMQ works through what peers have sent, which may be much;
        pyzmq's `getsockopt` does not.
        """
        before, subscribed = self.prefixes.changes, False
        try:
            for _ in range(_AT_ONCE):
                subscribed = self.prefixes.note(self._socket.recv(zmq.NOBLOCK)) or subscribed
        except zmq.Again:
            pass
        if subscribed and self._peers:
            self._peers.look()  # that it connected was told before
            self._answered = self._peers.ended
        return self.prefixes.changes != before

    def there(self) -> bool:
        """Whether the receiver that we connect to is there and has subscribed; True where we are connected to."""
        return self._peers is None or self._peers.ended == self._answered

    def settle(self, sent: int) -> None:
        """Note that so many messages had been sent while the receiver was there, if it is."""
        if self._peers and self.there():
            self._settled = sent

    def await_return(self, sent: int, milliseconds: int) -> int:
        """Wait so long for a receiver that went away, when something may have been sent to it since.

        Returns:
            How many milliseconds are left.
        """
        deadline, left = monotonic() + milliseconds / 1000, milliseconds
        while self._peers and sent > self._settled and left > 0 and not self.there():
            self._socket.poll(min(left, _GLANCE), zmq.POLLIN)
            self._peers.look()
            self.hear()
            left = max(0, int((deadline - monotonic()) * 1000))
        return left
