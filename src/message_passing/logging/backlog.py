"""Encoded records that wait for a receiver, and which of them are dropped when there are too many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import deque
from itertools import accumulate, groupby, islice, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Policy = Literal["drop_newest", "drop_oldest", "drop_least_severe"]

Level = tuple[int, str]
"""A level's number and its name."""

Item = tuple[int, str, bytes]
"""A level's number, its name, and the encoded record."""


_OVERHEAD = 200
"""Bytes that an item takes besides its text."""

HIGHEST_LEVEL = 100
"""The highest level number that a policy tells from higher ones; the lowest is 0."""


def share(most: int, divisor: int) -> int:
    """A part of a bound: at least 1, since 0 would be no bound; 0 of none."""
    return max(1, most // divisor) if most else 0


def weight_of_item(item: Item) -> int:
    """The bytes that an item takes here."""
    return len(item[2]) + _OVERHEAD


class Backlog(ABC):
    """A bounded queue of items. `limit` is in records, `most` in bytes; 0: no limit except memory.

    A signal handler may raise between any two calls, so what is known is in one place. `added` is how many items were
    dealt with, kept or dropped: `add` makes no call between the two changes. `done` is the number below which items
    are gone, though they may still be here; `numbers` are those of the items that `first` or `items` has given.
    """

    def __init__(self, limit: int, most: int = 0) -> None:
        self.limit = limit
        self.most = most
        self.added = self.done = 0
        self.numbers: Sequence[int] = ()
        self._number = 0

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def size(self) -> int:
        """The bytes that they take."""

    @abstractmethod
    def add(self, item: Item) -> Item | None:
        """Put an item in, or make room for it by one step.

        Returns:
            None if it is in. What had to go: the item itself; or another one, and then this is to be called again.
        """

    @abstractmethod
    def extend(self, levels: Sequence[Level], texts: Sequence[bytes]) -> None:
        """Put as many of the first of these in as there is room for: `added` tells how many."""

    def first(self, count: int) -> list[bytes]:
        """The oldest `count` records, left where they are."""
        return [*map(_text_of, self._first(count))]

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""
        return [*map(_item, self._first(count))]

    def remove(self, count: int) -> None:
        """Take so many out of those that `first` or `items` has given."""
        if count:
            self.done = self.numbers[count - 1] + 1
            self._forget()

    @abstractmethod
    def drain(self) -> Iterator[Item]:
        """Take everything out."""

    @abstractmethod
    def _first(self, count: int) -> Iterable[Numbered]:
        """The oldest, whose `numbers` are noted."""

    @abstractmethod
    def _forget(self) -> None:
        """Take out what is below `done`."""


Numbered = tuple[int, int, Level, bytes]
"""An item's number, the length of all texts in its queue so far, its own included, its level, and its text.

A flood puts records in and takes them out by the thousand, so that is done for many at once, in C where it can be.
"""

_text_of = itemgetter(3)


def _size(items: deque[Numbered]) -> int:
    return items[-1][1] - items[0][1] + len(items[0][3]) + _OVERHEAD * len(items) if items else 0


def _item(numbered: Numbered) -> Item:
    _, _, level, text = numbered
    return (*level, text)


def _numbered(
    levels: Sequence[Level], texts: Sequence[bytes], count: int, queue: deque[Numbered], number: int
) -> list[Numbered]:
    """The first so many as they are to be added to a queue, the first with this number."""
    ends = accumulate(map(len, texts), initial=queue[-1][1] if queue else 0)
    return [*zip(range(number, number + count), islice(ends, 1, None), levels, texts, strict=False)]


def _fitting(texts: Sequence[bytes], backlog: Backlog) -> int:
    """How many of the first of these a queue has room for."""
    count = len(texts)
    if backlog.limit:
        count = min(count, max(0, backlog.limit - len(backlog)))
    if not backlog.most or not count:
        return count
    room = backlog.most - backlog.size
    if sum(map(len, texts)) + _OVERHEAD * len(texts) <= room:  # nearly always
        return count
    return min(count, bisect_right([*accumulate(len(text) + _OVERHEAD for text in texts)], room))


def _forget(items: deque[Numbered], done: int) -> None:
    while items and items[0][0] < done:
        items.popleft()


class InOrder(Backlog):
    """A queue that drops the newest or the oldest records. Their numbers are without gaps."""

    def __init__(self, limit: int, most: int = 0, *, drop_oldest: bool = False) -> None:
        super().__init__(limit, most)
        self._drop_oldest = drop_oldest
        self._items: deque[Numbered] = deque()

    def __len__(self) -> int:
        self._forget()
        return len(self._items)

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return _size(self._items)

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        count, size, weight = len(self), _size(self._items), weight_of_item(item)
        if not ((self.limit and count >= self.limit) or (self.most and size + weight > self.most)):
            self._items += _numbered((item[:2],), (item[2],), 1, self._items, self._number)
            self._number += 1
            self.added += 1
            return None
        if self._drop_oldest and count and not 0 < self.most < weight:
            return _item(self._items.popleft())
        self.added += 1
        return item

    def extend(self, levels: Sequence[Level], texts: Sequence[bytes]) -> None:
        """Put as many of the first of these in as there is room for."""
        count = _fitting(texts, self)
        fitting = _numbered(levels, texts, count, self._items, self._number)
        self._items += fitting
        self._number += count
        self.added += count

    def _first(self, count: int) -> Iterator[Numbered]:
        self._forget()
        items = self._items
        start = items[0][0] if items else 0
        self.numbers = range(start, start + min(count, len(items)))
        return islice(items, count)

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        self._forget()
        while self._items:
            yield _item(self._items.popleft())

    def _forget(self) -> None:
        items = self._items
        if items and (count := self.done - items[0][0]) > 0:  # in one call, however many those are
            deque(map(deque.popleft, repeat(items, min(count, len(items)))), 0)


class BySeverity(Backlog):
    """A queue that drops the newest of the least severe records, and keeps the order of arrival.

    There is a queue for each level, of which a program has a handful.
    """

    def __init__(self, limit: int, most: int = 0) -> None:
        super().__init__(limit, most)
        self._levels: dict[int, deque[Numbered]] = {}

    def __len__(self) -> int:
        self._forget()
        return sum(map(len, self._levels.values()))

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return sum(map(_size, list(self._levels.values())))

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        count, size, weight, rank = len(self), self.size, weight_of_item(item), _rank(item[:2])
        if not ((self.limit and count >= self.limit) or (self.most and size + weight > self.most)):
            queue = self._levels.setdefault(rank, deque())
            queue += _numbered((item[:2],), (item[2],), 1, queue, self._number)
            self._number += 1
            self.added += 1
            return None
        least = min((level for level, items in self._levels.items() if items), default=rank)
        if least >= rank or 0 < self.most < weight:
            self.added += 1
            return item
        return _item(self._levels[least].pop())

    def extend(self, levels: Sequence[Level], texts: Sequence[bytes]) -> None:
        """Put as many of the first of these in as there is room for."""
        begin, fitting = 0, _fitting(texts, self)
        for rank, some in groupby(levels[:fitting], _rank):
            count, queue = len([*some]), self._levels.setdefault(rank, deque())
            end = begin + count
            numbered = _numbered(levels[begin:end], texts[begin:end], count, queue, self._number)
            begin = end
            queue += numbered
            self._number += count
            self.added += count

    def _first(self, count: int) -> list[Numbered]:
        self._forget()
        found = sorted(one for items in self._levels.values() for one in islice(items, count))[:count]
        self.numbers = [number for number, *_ in found]
        return found

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        self._forget()
        while any(self._levels.values()):
            oldest = min(filter(None, self._levels.values()), key=lambda items: items[0][0])
            yield _item(oldest.popleft())

    def _forget(self) -> None:
        for items in self._levels.values():
            _forget(items, self.done)


def _rank(level: Level) -> int:
    """The level that it counts as here: there is a queue for each, so there must not be too many."""
    return max(0, min(level[0], HIGHEST_LEVEL))


def make_backlog(policy: Policy, limit: int, most: int = 0) -> Backlog:
    """The queue for a policy, for so many records and bytes."""
    if policy == "drop_least_severe":
        return BySeverity(limit, most)
    return InOrder(limit, most, drop_oldest=policy == "drop_oldest")
