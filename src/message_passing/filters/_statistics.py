"""What is counted of many values in little memory: count, sum, extremes, mean, and percentiles by a sketch."""

from __future__ import annotations

import re
from math import ceil, inf, isfinite, log
from typing import TYPE_CHECKING, Any

from message_passing.dotted import value_at

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCURACY = 0.01
"""Relative error of a percentile, at most."""

_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_LOG_GAMMA = log(_GAMMA)

_SMALLEST = 1e-9
"""What is nearer to 0 counts as 0 in a percentile."""

MOST_BUCKETS = 2048
"""Buckets of a sketch: enough for values of 17 orders of magnitude. Beyond that the smallest share one."""

_SHARED = 64
"""How many of the smallest are put into one then: to sort all of them for each value would take 100 microseconds."""

BUCKET_BYTES = 100
"""The bytes of a bucket, about: an entry of a dict, its number and its count."""

_FEWEST_BUCKETS = 8
"""Half of what a sketch keeps at least, however little room there is."""

_FUNCTION = re.compile(
    r"(?P<name>count|sum|min|max|mean|p(?P<percent>\d{1,2}(?:\.\d{1,3})?))\((?P<field>[^()]*)\)|count",
    re.ASCII,
)


class Statistics:
    """Of one field's values, as they come.

    Attributes:
        count: how many.
        total: their sum.
        least: the smallest.
        most: the largest.
    """

    __slots__ = ("_buckets", "count", "least", "most", "total")

    def __init__(self, *, sketch: bool) -> None:
        """Of no value yet.

        Args:
            sketch: percentiles are asked for.
        """
        self.count = 0
        self.total: float = 0
        self.least, self.most = inf, -inf
        self._buckets: dict[int, int] | None = {} if sketch else None

    def add(self, value: float) -> int:
        """One more; how many buckets more there are."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)
        if (buckets := self._buckets) is None:
            return 0
        before = len(buckets)
        # A bucket for each power of gamma (DDSketch, arxiv.org/abs/1908.10693); those below 0 are mirrored.
        size = abs(value)
        index = 0 if size < _SMALLEST else ceil(log(size) / _LOG_GAMMA) + MOST_BUCKETS
        index = -index if value < 0 else index
        buckets[index] = buckets.get(index, 0) + 1
        if len(buckets) > MOST_BUCKETS:
            self._share(_SHARED)
        return len(buckets) - before

    @property
    def buckets(self) -> int:
        """How many buckets it has."""
        return len(self._buckets or ())

    def shrink(self) -> int:
        """Have the smaller half share a bucket, unless there are few; how many buckets fewer there are."""
        half = self.buckets // 2
        if half < _FEWEST_BUCKETS:
            return 0
        self._share(half)
        return half

    def _share(self, count: int) -> None:
        """Put so many of the smallest into the next one."""
        buckets = self._buckets or {}
        *small, kept = sorted(buckets)[: count + 1]
        buckets[kept] += sum(map(buckets.pop, small))

    def percentile(self, percent: float) -> float | None:
        """The value that so many percent do not exceed, within 1 %; None of no values."""
        if not self.count or self._buckets is None:
            return None
        rank, seen = percent / 100 * (self.count - 1), 0
        for index in sorted(self._buckets):
            seen += self._buckets[index]
            if seen > rank:
                size = 0.0 if not index else 2 * _GAMMA ** (abs(index) - MOST_BUCKETS) / (_GAMMA + 1)
                return min(max(-size if index < 0 else size, self.least), self.most)
        return self.most


def usable(value: Any) -> bool:
    """Whether a value can be counted: a number that is not huge, and no truth value."""
    return type(value) in (int, float) and -1e300 < value < 1e300


def _plain(number: float) -> float | None:
    """A number as JSON has it: long integers become floats, and a sum that is too large null."""
    if abs(number) >= 1 << 63:
        number = float(number)
    return number if isfinite(number) else None


def read_function(text: str) -> tuple[str, Callable[[int, Statistics | None], Any], bool]:
    """What `sum(bytes)` means: the field, how to get the value from the messages' number and statistics, a sketch.

    Raises:
        ValueError: it means nothing.
    """
    found = _FUNCTION.fullmatch(text.strip())
    if not found or (found["name"] and not found["field"].strip()):
        text = (
            f"{text[:80]!r} is none of count, count(field), sum(field), min(field), max(field), mean(field)"
        )
        raise ValueError(f"{text} and p50(field), with any percentage")
    field = (found["field"] or "").strip()
    if not field:
        return "", lambda count, _: count, False
    if found["percent"]:
        percent = float(found["percent"])
        return field, lambda _, one: one.percentile(percent) if one else None, True
    getters: dict[str, Callable[[Statistics], Any]] = {
        "count": lambda one: one.count,
        "sum": lambda one: _plain(one.total),
        "min": lambda one: _plain(one.least),
        "max": lambda one: _plain(one.most),
        "mean": lambda one: _plain(one.total / one.count) if one.count else None,
    }
    get = getters[found["name"]]
    return field, lambda _, one: get(one) if one else None, False


def number_at(message: Any, field: str) -> float | None:
    """A field's value if it can be counted."""
    value = value_at(message, field)
    return value if usable(value) else None
