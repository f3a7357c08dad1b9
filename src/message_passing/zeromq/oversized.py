"""Received messages larger than `maxmsgsize`: their number, and what is known about the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSELY = 1.0
"""Seconds after one for which the sender of each message is recorded, which slows receiving down."""


class Oversized:
    """The oversized messages not yet counted.

    Attributes:
        count: their number.
        size: bytes of the last one, over all its frames.
        sender: its sender, by name and address; empty if unknown.
    """

    def __init__(self, address_of: Callable[[str], str]) -> None:
        """Start without any.

        Args:
            address_of: the address of a peer, by its connection's descriptor, in digits; if that is empty, the only
                peer's. Empty if unknown.
        """
        self.count = self.size = 0
        self.sender = ""
        self._address_of = address_of
        self._closely_until = 0.0

    def note(self, count: int, size: int, descriptor: str = "", user: str = "") -> None:
        """Record oversized messages; size, connection and user are those of the last one."""
        self.count += count
        self.size, self.sender = size, self._address_of(descriptor)
        if user and user not in self.sender:  # without keys, the address is the name
            self.sender = f"{user} at {self.sender}" if self.sender else user
        self._closely_until = monotonic() + _CLOSELY

    def closely(self) -> bool:
        """Whether to record the sender of each message: another one that is too big is likely to follow soon."""
        return self._closely_until > 0 and monotonic() < self._closely_until

    def described(self, most: int) -> str:
        """A sentence about the last one, for a person.

        Args:
            most: the limit in bytes.
        """
        of = f" from {self.sender}" if self.sender else ""
        return f"dropped a message of {self.size} bytes{of}, in all its frames: maxmsgsize is {most}"
