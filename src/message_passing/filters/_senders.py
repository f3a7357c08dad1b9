"""What of each sender's messages has arrived: the books that a `Follow` filter keeps."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import Any

GAPS = 1000
"""Gaps that are remembered for one sender; of older ones it is forgotten where they are, not how large."""

_NEAR = 1000
"""A missing 1 that comes when the highest is less than this is late; otherwise the sequence begins anew."""


class Sender:
    """One sender's books.

    Attributes:
        expected: the number that comes next if nothing is missing: whoever sees it come adds one, and that is all.
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
        "_others",
        "before",
        "duplicated",
        "expected",
        "first",
        "gaps",
        "late",
        "lost",
        "restarted",
        "seen",
    )

    def __init__(self) -> None:
        self.lost = self.duplicated = self.late = self.restarted = 0
        self.expected = 1
        self._others = 0  # what `received` has besides the numbers up to `expected`
        self.first = self.before = 0
        self.seen = 0.0
        self.gaps: list[tuple[int, int]] = []  # first and last number that is missing, in order

    @property
    def highest(self) -> int:
        """The highest sequence number so far."""
        return self.expected - 1

    @property
    def received(self) -> int:
        """Messages that came, duplicates not counted."""
        return self.highest + self._others

    def take(self, number: int) -> None:
        """A message with this number came, and it is not simply the next one."""
        if number > self.highest:
            self._skip_to(number)
        elif (number > 1 or self.highest < _NEAR) and self._fill(number):
            self.late += 1
            self._others += 1
            if number < self.first:
                self.before -= 1
            else:
                self.lost -= 1
        elif number == 1:
            self.restarted += 1
            self.gaps.clear()
            self._others += self.highest  # what came before stays received, though counting begins anew
            self.first, self.expected = 1, 2
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
        self._others -= missing
        self.expected = number + 1

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


def most_crowded(count: int, senders: dict[tuple[str, str], Sender]) -> list[tuple[tuple[str, str], Sender]]:
    """So many senders that may be forgotten: of the keys that have most, those that were silent longest.

    However many senders somebody makes up with one key, those of another key stay if they are fewer.
    """
    ranks: Counter[str] = Counter()
    ranked = []
    for pair in sorted(senders.items(), key=lambda pair: pair[1].seen, reverse=True):
        key = pair[0][0]
        ranks[key] += 1
        ranked.append((ranks[key], -pair[1].seen, pair))
    return [pair for _, _, pair in nlargest(count, ranked, key=lambda one: one[:2])]


COUNTERS = ("received", "lost", "duplicated", "late", "restarted", "before")
"""The numbers that can be added up."""
