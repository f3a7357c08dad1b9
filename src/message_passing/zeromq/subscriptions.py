"""What a PUB's receivers have subscribed to, and whether the one that is there now has done so yet.

A receiver that comes back is sent at once what waited for it; its subscription arrives a moment later. If we have
closed by then, the system resets the connection, since data has come that nobody will read (RFC 2525, 2.17), and
throws away what it had taken from us and not brought there yet. So closing waits for the subscription.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from typing import TYPE_CHECKING

import zmq

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from message_passing.zeromq.peers import Peers

MOST_PREFIXES = 10_000
"""Different prefixes that the subscribers of one socket may ask for together."""

MOST_PREFIX_BYTES = 1 << 20
"""And the bytes of these. ZeroMQ keeps about 50 times that."""

_RETURN_INTERVAL = 50
"""Milliseconds between two looks whether somebody has come back."""

_SUBSCRIPTIONS_AT_ONCE = 1000
"""Subscriptions that are taken note of at once: who sends them for ever must not keep the sender for ever."""

_TOPICS_COUNT = 116
"""ZMQ_TOPICS_COUNT of an XPUB: how many prefixes are subscribed to, and how many were by connections that have ended.
libzmq 4.3.5 has it; pyzmq has no name for it."""


_SHOWN, _SHOWN_LENGTH = 5, 50
"""Prefixes that a person is shown, and characters of each."""


def prefixes_text(prefixes: Collection[bytes]) -> str:
    """Prefixes for a person: `'web', 'db' and 3 more`."""
    first = sorted(prefixes)[:_SHOWN]
    shown = ", ".join(repr(prefix[:_SHOWN_LENGTH].decode("utf-8", "replace")) for prefix in first)
    return shown + (f" and {len(prefixes) - _SHOWN} more" if len(prefixes) > _SHOWN else "")


class Prefixes:
    """What is subscribed to, and which messages that is.

    An XPUB says that a subscription has ended when the last one with this prefix has; and it says the same when a
    peer cancels what it has not subscribed to, though others have. So a prefix whose end is told is doubtful until it
    is certain which it was, and counts as subscribed to meanwhile: to send what nobody wants any more is no worse
    than what ZeroMQ does by itself.

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
        self._cancelled: set[bytes] = set()  # by a peer, it says
        self._orphaned: set[bytes] = set()  # by the end of a connection, it seems
        self._counted = 0  # of those, how many ZeroMQ goes on to count
        self._shortest: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def described(self) -> str:
        """Them, for a person: the first few. Any thread may ask."""
        return prefixes_text(list(self._all))

    @property
    def doubtful(self) -> int:
        """Of how many prefixes it is not known whether somebody still wants them."""
        return len(self._cancelled) + len(self._orphaned)

    def note(self, heard: bytes, *, anonymous: bool = False) -> bool:
        """Take note of what an XPUB received; whether it began a subscription.

        Args:
            heard: 1 and a prefix for a subscription, 0 and a prefix when the last one to it ends (zmq_socket(3)), or
                when somebody only says so; call `settle` or `forget` then. Anything else is no subscription, and
                means nothing.
            anonymous: whether it came from no connection: so the XPUB tells of one that has ended.
        """
        begins, prefix = heard[:1] == b"\x01", heard[1:]
        if begins:
            self._cancelled.discard(prefix)
            if prefix in self._orphaned:
                self._orphaned.discard(prefix)
                self._counted += 1
            if prefix not in self._all:
                self._all.add(prefix)
                self.size += len(prefix)
                self._changed()
        elif heard[:1] == b"\x00" and prefix in self._all and prefix not in self._orphaned:
            if anonymous:
                self._cancelled.discard(prefix)
            (self._orphaned if anonymous else self._cancelled).add(prefix)
        return begins

    def settle(self, count: int | None) -> None:
        """Forget the prefixes that nobody wants any more, where it is certain which these are.

        All that was anonymous must have come from the XPUB itself.

        Args:
            count: what `_TOPICS_COUNT` tells when all was noted that the XPUB had to tell; None if it tells nothing.
        """
        self._counted += len(self._orphaned)
        self._drop(self._orphaned)
        if count is not None and self._cancelled:
            wanted = count - self._counted
            if wanted >= len(self._all):
                self._cancelled.clear()
            elif wanted <= len(self._all) - len(self._cancelled):
                self._drop(self._cancelled)

    def forget(self, count: int | None) -> None:
        """Forget all that is doubtful: nobody is there."""
        self._drop(self._orphaned)
        self._drop(self._cancelled)
        self._counted = (count or 0) - len(self._all)

    def _drop(self, prefixes: set[bytes]) -> None:
        if prefixes:
            self._all -= prefixes
            self.size -= sum(map(len, prefixes))
            prefixes.clear()
            self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self.everything = b"" in self._all
        self._shortest = None

    def too_many(self) -> bool:
        """Whether it is more than any honest subscribers want, and than we keep."""
        return len(self._all) > MOST_PREFIXES or self.size > MOST_PREFIX_BYTES

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


def _anonymous(heard: zmq.Frame) -> bool:
    """Whether this came from no connection, or from one with ZMTP 2 or older: others have a descriptor."""
    try:
        heard.get("__fd")
    except zmq.ZMQError:
        return True
    return False


class Subscriptions:
    """What an XPUB socket hears.

    Attributes:
        prefixes: what is subscribed to.
    """

    def __init__(self, socket: zmq.Socket[bytes], peers: Peers | None, *, returns: bool) -> None:
        """Nobody has subscribed.

        Args:
            socket: the XPUB. With XPUB_VERBOSE it hears a receiver that comes back subscribe again.
            peers: the monitor, where there is one; without one there are no strangers.
            returns: whether the socket connects: over its queue a receiver's end and return have no power.
        """
        self.prefixes = Prefixes()
        self._socket = socket
        self._monitor = peers
        self._peers = peers if returns else None
        self._nameless = 0  # how many connections had ended unknown when all that was heard was settled
        self._misled = False  # whether one that ended so may have said something
        self._answered = -1  # how many connections had ended when somebody last subscribed
        self._settled = 0  # how much had been sent when the receiver was known to be there

    def hear(self) -> bool:
        """Take note of what has arrived; whether what is wanted has changed.

        `recv` lets other threads run while ZeroMQ works through what peers have sent, which may be much where
        strangers can connect; pyzmq's `getsockopt` does not, so nobody waits for a turn among busy threads for it.
        """
        before, subscribed = self.prefixes.changes, False
        nameless = self._monitor.nameless if self._monitor else 0
        if self._peers and not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._all_heard(nameless)
            return self.prefixes.changes != before
        try:
            for _ in range(_SUBSCRIPTIONS_AT_ONCE):
                heard = self._socket.recv(zmq.NOBLOCK, copy=False)
                anonymous = _anonymous(heard)
                begins = self.prefixes.note(heard.bytes, anonymous=anonymous)
                if begins and anonymous:  # ZMTP 2: what it cancels looks as if a connection had ended
                    self._misled = self._monitor is not None
                subscribed = subscribed or begins
        except zmq.Again:
            self._all_heard(nameless)
        if subscribed and self._peers:
            self._peers.look()  # that it connected was told before
            self._answered = self._peers.ended
        return self.prefixes.changes != before

    def _all_heard(self, nameless: int) -> None:
        """The XPUB has no more to tell now."""
        if self.prefixes.doubtful:
            self._settle()
        if not self.prefixes.doubtful:
            self._nameless = nameless

    def _settle(self) -> None:
        """See which subscriptions have ended: all that the XPUB has to tell is known.

        What a peer with ZMTP 2 or older says is anonymous, as is what the XPUB itself says: while there may have been
        such a one, nothing is certain before nobody is there any more.
        """
        count: int | None = None
        with contextlib.suppress(zmq.ZMQError):  # an older libzmq does not tell
            count = int(self._socket.getsockopt(_TOPICS_COUNT))
        if not self._monitor:
            self.prefixes.forget(count)  # without strangers all is as it was told
            return
        self._monitor.look()
        if not len(self._monitor.connections):
            self.prefixes.forget(count)
            self._misled = False
        elif self._monitor.nameless != self._nameless:
            self._misled = True
        elif not (self._misled or self._monitor.may_be_old):
            self.prefixes.settle(count)

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
            self._socket.poll(min(left, _RETURN_INTERVAL), zmq.POLLIN)
            self._peers.look()
            self.hear()
            left = max(0, int((deadline - monotonic()) * 1000))
        return left
