"""How many more messages may be requested, when their sizes are not known before they come."""

from __future__ import annotations

_FIRST_SIZE = 64 << 10
"""Bytes that a message is taken to have before any has come."""

MOST_AT_ONCE = 1000
"""The most messages that are requested at once."""


class RoomEstimate:
    """The bounds of a window, and the size of a message as a moving average."""

    def __init__(self, window: int, window_bytes: int) -> None:
        """Begin with a guess.

        Args:
            window: the most messages that are here at a time.
            window_bytes: about the most bytes of them.
        """
        self._window, self._window_bytes = window, window_bytes
        self._size = float(_FIRST_SIZE)

    def saw(self, size: int) -> None:
        """A message of so many bytes has come."""
        self._size += (max(size, 1) - self._size) / 16

    def room(self, count: int, size: int) -> int:
        """How many may be requested, if so many are here, with so many bytes."""
        free = self._window_bytes - size
        if count >= self._window or (count and free < self._size):
            return 0
        return min(MOST_AT_ONCE, self._window - count, max(1, int(free / self._size)))
