"""How many more messages may be requested, when their sizes are not known before they come."""

from __future__ import annotations

_FIRST_SIZE = 64 << 10
"""Bytes that a message is taken to have before any has come."""

_KEPT = 15 / 16
"""The weight of what was known before, once another message has come."""

MOST_AT_ONCE = 1000
"""The most messages that are requested at once."""


class RoomEstimate:
    """The bounds of a window, and the size of a message as a moving average."""

    def __init__(self, window: int, window_bytes: int, *, least: float = 0.0) -> None:
        """Begin with a guess.

        Args:
            window: the most messages that are here at a time.
            window_bytes: about the most bytes of them.
            least: the share of both that must be free before more are requested, where each request costs.
        """
        self._window, self._window_bytes, self._least = window, window_bytes, least
        self._size = float(_FIRST_SIZE)

    def saw(self, size: float, count: int = 1) -> None:
        """So many messages have come, of so many bytes each on average."""
        self._size += (max(size, 1) - self._size) * (1 - _KEPT**count)

    def room(self, count: int, size: int) -> int:
        """How many may be requested, if so many are here, with so many bytes."""
        free, free_bytes = self._window - count, self._window_bytes - size
        lacks = free < max(1, self._window * self._least) or free_bytes < max(
            self._size, self._window_bytes * self._least
        )
        if count and lacks:
            return 0
        return min(MOST_AT_ONCE, free, max(1, int(free_bytes / self._size)))
