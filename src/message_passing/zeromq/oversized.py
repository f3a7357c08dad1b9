"""Messages that were received and are more than `maxmsgsize`: how many, and of the last one what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSELY = 1.0
"""Seconds after one in which it is known of each message who sent it, which takes longer to receive."""


class Oversized:
    """Those that somebody has yet to count.

    Attributes:
        count: how many there are.
        size: bytes of the last one, in all its frames.
        sender: who sent that, by name and address; empty if it is not known.
    """

    def __init__(self, address_of: Callable[[str], str]) -> None:
        """None yet.

        Args:
            address_of: the address of a peer, by its connection's descriptor, in digits; if that is empty, by being
                the only one. Empty if it is not known.
        """
        self.count = self.size = 0
        self.sender = ""
        self._address_of = address_of
        self._closely_until = 0.0

    def note(self, count: int, size: int, descriptor: str = "", user: str = "") -> None:
        """So many were received; the last one had that size, and came by this connection, from this user."""
        self.count += count
        self.size, self.sender = size, self._address_of(descriptor)
        if user and user not in self.sender:  # where nobody has a key, the address is the name
            self.sender = f"{user} at {self.sender}" if self.sender else user
        self._closely_until = monotonic() + _CLOSELY

    def closely(self) -> bool:
        """Whether it is to be known of each message who sent it: the next one that is too big comes soon."""
        return self._closely_until > 0 and monotonic() < self._closely_until

    def described(self, most: int) -> str:
        """The last one, for a person.

        Args:
            most: what is allowed.
        """
        of = f" from {self.sender}" if self.sender else ""
        return f"dropped a message of {self.size} bytes{of}, in all its frames: maxmsgsize is {most}"
