"""Missing numbers, stored compactly."""

from __future__ import annotations

from array import array
from bisect import bisect_left


class Gaps:
    """Missing numbers, as ranges in order."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts, self._lasts = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._firsts)

    def append(self, first: int, last: int) -> None:
        """Add these missing numbers, which are higher than all others."""
        self._firsts.append(first)
        self._lasts.append(last)

    def remove(self, number: int) -> bool:
        """Remove this number; whether it was missing."""
        firsts, lasts = self._firsts, self._lasts
        index = bisect_left(lasts, number)
        if index == len(lasts) or number < (first := firsts[index]):
            return False
        last = lasts[index]
        if first == last:
            del firsts[index], lasts[index]
        elif number == first:
            firsts[index] = number + 1
        else:
            lasts[index] = number - 1
            if number < last:
                firsts.insert(index + 1, number + 1)
                lasts.insert(index + 1, last)
        return True

    def forget(self, count: int) -> list[tuple[int, int]]:
        """Forget so many of the lowest ranges; their first and last numbers."""
        forgotten = [*zip(self._firsts[:count], self._lasts[:count], strict=True)]
        del self._firsts[:count], self._lasts[:count]
        return forgotten
