"""Encoded records that wait for a receiver, and which of them are dropped when there are too many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import deque
from itertools import accumulate, groupby, islice
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Policy = Literal["drop_newest", "drop_oldest", "drop_least_severe"]

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


def _weights(items: Sequence[Item]) -> list[int]:
    return [
        len(text) + _OVERHEAD for _, _, text in items
    ]  # without a call for each, as records come by the thousand


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
        self.numbers: list[int] = []
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
    def extend(self, items: Sequence[Item]) -> None:
        """Put as many of the first of these in as there is room for: `added` tells how many."""

    def first(self, count: int) -> list[bytes]:
        """The oldest `count` records, left where they are."""
        return [item[2] for item in self.items(count)]

    @abstractmethod
    def items(self, count: int) -> list[Item]:
        """The same with their levels."""

    def remove(self, count: int) -> None:
        """Take so many out of those that `first` or `items` has given."""
        if count:
            self.done = self.numbers[count - 1] + 1
            self._forget()

    @abstractmethod
    def drain(self) -> Iterator[Item]:
        """Take everything out."""

    @abstractmethod
    def _forget(self) -> None:
        """Take out what is below `done`."""


Numbered = tuple[int, int, Item]
"""An item, its number, and the bytes of all in its queue so far, its own included."""


def _size(items: deque[Numbered]) -> int:
    return items[-1][1] - items[0][1] + weight_of_item(items[0][2]) if items else 0


def _numbered(items: Sequence[Item], queue: deque[Numbered], number: int) -> list[Numbered]:
    """Items as they are to be added to a queue, the first with this number."""
    ends = accumulate(_weights(items), initial=queue[-1][1] if queue else 0)
    return [*zip(range(number, number + len(items)), islice(ends, 1, None), items, strict=True)]


def _fitting(items: Sequence[Item], backlog: Backlog) -> Sequence[Item]:
    """As many of the first of these as a queue has room for."""
    if backlog.limit:
        items = items[: max(0, backlog.limit - len(backlog))]
    if not backlog.most:
        return items
    return items[: bisect_right([*accumulate(_weights(items))], backlog.most - backlog.size)]


class InOrder(Backlog):
    """A queue that drops the newest or the oldest records."""

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
            end = self._items[-1][1] + weight if self._items else weight
            self._items += ((self._number, end, item),)
            self._number += 1
            self.added += 1
            return None
        if self._drop_oldest and count and not 0 < self.most < weight:
            return self._items.popleft()[2]
        self.added += 1
        return item

    def extend(self, items: Sequence[Item]) -> None:
        """Put as many of the first of these in as there is room for."""
        fitting = _numbered(_fitting(items, self), self._items, self._number)
        count = len(fitting)
        self._items += fitting
        self._number += count
        self.added += count

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""
        self._forget()
        self.numbers = [number for number, _, _ in islice(self._items, count)]
        return [item for _, _, item in islice(self._items, count)]

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        self._forget()
        while self._items:
            yield self._items.popleft()[2]

    def _forget(self) -> None:
        while self._items and self._items[0][0] < self.done:
            self._items.popleft()


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
        count, size, weight, rank = len(self), self.size, weight_of_item(item), _rank(item)
        if not ((self.limit and count >= self.limit) or (self.most and size + weight > self.most)):
            level = self._levels.setdefault(rank, deque())
            end = level[-1][1] + weight if level else weight
            level += ((self._number, end, item),)
            self._number += 1
            self.added += 1
            return None
        least = min((level for level, items in self._levels.items() if items), default=rank)
        if least >= rank or 0 < self.most < weight:
            self.added += 1
            return item
        return self._levels[least].pop()[2]

    def extend(self, items: Sequence[Item]) -> None:
        """Put as many of the first of these in as there is room for."""
        for rank, some in groupby(_fitting(items, self), _rank):
            level = self._levels.setdefault(rank, deque())
            fitting = _numbered([*some], level, self._number)
            count = len(fitting)
            level += fitting
            self._number += count
            self.added += count

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""
        self._forget()
        numbered = sorted(one for items in self._levels.values() for one in islice(items, count))[:count]
        self.numbers = [number for number, _, _ in numbered]
        return [item for _, _, item in numbered]

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        self._forget()
        while any(self._levels.values()):
            yield min(filter(None, self._levels.values()), key=lambda items: items[0][0]).popleft()[2]

    def _forget(self) -> None:
        for items in self._levels.values():
            while items and items[0][0] < self.done:
                items.popleft()


def _rank(item: Item) -> int:
    """The level that it counts as here: there is a queue for each, so there must not be too many."""
    return max(0, min(item[0], HIGHEST_LEVEL))


def make_backlog(policy: Policy, limit: int, most: int = 0) -> InOrder | BySeverity:
    """The queue for a policy, for so many records and bytes."""
    if policy == "drop_least_severe":
        return BySeverity(limit, most)
    return InOrder(limit, most, drop_oldest=policy == "drop_oldest")
