"""How many bytes ZeroMQ has accepted from us and not sent yet: it only counts messages, and does not report them.

What is known: a message was accepted, so of those before it no more than the high-water mark are left; and when the
system has nothing to send on any connection for a while, none is.
"""

from __future__ import annotations

import array
import fcntl
import termios
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Collection

_QUIET = 0.01
"""Seconds in which the system has had nothing to send, although there were messages, if there had been any."""


class Pipe:
    """The sizes of the messages that one socket may still have."""

    def __init__(self, messages: int, most: int) -> None:
        """Nothing was sent.

        Args:
            messages: the socket's high-water mark.
            most: the bytes that it may have; 0 for no bound.
        """
        self._sizes: deque[int] = deque(maxlen=messages or None)
        self._most = most
        self._quiet_since = 0.0

    def room_for(self, records: list[bytes], size: int, descriptors: Collection[int]) -> int:
        """How many of these, from the first on, may be sent now.

        Args:
            records: what is to be sent.
            size: its bytes.
            descriptors: the connections.
        """
        if not self._most:
            return len(records)
        room = self._most - sum(self._sizes)
        if size <= room:
            return len(records)
        if self._is_drained(descriptors):
            self._sizes.clear()
            room = self._most
        fit = 0
        for record in records:
            room -= len(record)
            if room < 0 and (fit or self._sizes):  # one alone is sent, however long it is
                break
            fit += 1
        return fit

    def sent(self, records: list[bytes], amount: int) -> None:
        """Note that the first ones of these were sent."""
        if amount and self._most:
            self._sizes.extend(map(len, islice(records, amount)))
            self._quiet_since = 0.0

    def _is_drained(self, descriptors: Collection[int]) -> bool:
        if not descriptors or any(map(unsent, descriptors)):
            self._quiet_since = 0.0
            return False
        now = monotonic()
        self._quiet_since = self._quiet_since or now
        return now - self._quiet_since >= _QUIET


def unsent(descriptor: int) -> bool:
    """Whether the system has something to send on a connection (tcp(7), unix(7): SIOCOUTQ)."""
    amount = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, amount)
    except OSError:
        return True  # it was closed meanwhile
    return amount[0] > 0
