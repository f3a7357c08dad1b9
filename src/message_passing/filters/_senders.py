"""What of each sender's messages has arrived: the books that a `Follow` filter keeps."""

from __future__ import annotations

from typing import Any

GAPS = 1000
"""Gaps that are remembered for one sender; of older ones it is forgotten where they are, not how large."""

_NEAR = 1000
"""A missing 1 that comes when the highest is less than this is late; otherwise the sequence begins anew."""


class Sender:
    """One sender's books.

    Attributes:
        highest: the highest sequence number so far.
        received: messages that came, duplicates not counted.
        lost: numbers that are missing.
        duplicated: messages that had come before.
        late: messages that came after a higher number. They are no longer lost.
        restarted: how often the sequence began anew.
        before: numbers below the first one that came: sent before we listened, or lost.
        seen: when the last message came, in seconds since 1970.
    """

    __slots__ = (
        "before",
        "duplicated",
        "first",
        "gaps",
        "highest",
        "late",
        "lost",
        "received",
        "restarted",
        "seen",
    )

    def __init__(self) -> None:
        self.highest = self.received = self.lost = self.duplicated = self.late = self.restarted = 0
        self.first = self.before = 0
        self.seen = 0.0
        self.gaps: list[tuple[int, int]] = []  # first and last number that is missing, in order

    def take(self, number: int) -> None:
        """A message with this number came, and it is not simply the next one."""
        if number > self.highest:
            self._skip_to(number)
        elif (number > 1 or self.highest < _NEAR) and self._fill(number):
            self.late += 1
            self.received += 1
            if number < self.first:
                self.before -= 1
            else:
                self.lost -= 1
        elif number == 1:
            self.restarted += 1
            self.gaps.clear()
            self.first = self.highest = 1
            self.received += 1
        else:
            self.duplicated += 1

    def _skip_to(self, number: int) -> None:
        missing = number - 1 - self.highest
        if missing:
            self.gaps.append((self.highest + 1, number - 1))
            del self.gaps[:-GAPS]
        if self.first:
            self.lost += missing
        else:
            self.first, self.before = number, missing
        self.highest = number
        self.received += 1

    def _fill(self, number: int) -> bool:
        for index in range(len(self.gaps) - 1, -1, -1):
            first, last = self.gaps[index]
            if first <= number <= last:
                self.gaps[index : index + 1] = [
                    gap for gap in ((first, number - 1), (number + 1, last)) if gap[0] <= gap[1]
                ]
                return True
            if last < number:
                return False
        return False

    def described(self) -> dict[str, Any]:
        """The books as plain numbers."""
        return {
            "received": self.received,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "late": self.late,
            "restarted": self.restarted,
            "before": self.before,
            "highest": self.highest,
            "seen": self.seen,
        }


COUNTERS = ("received", "lost", "duplicated", "late", "restarted", "before")
"""The numbers that can be added up."""
