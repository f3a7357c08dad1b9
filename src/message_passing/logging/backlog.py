"""Encoded records that wait for a receiver, and which of them go when there are too many."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

Policy = Literal["drop_newest", "drop_oldest", "drop_least_severe"]

Item = tuple[int, str, bytes]
"""A level's number, its name, and the encoded record."""


_OVERHEAD = 200
"""Bytes that an item takes besides its text."""

LEVELS = 100
"""The highest level number that a policy tells from higher ones; the lowest is 0."""


def weight_of(item: Item) -> int:
    """The bytes that an item takes here."""
    return len(item[2]) + _OVERHEAD


class Backlog(Protocol):
    """A bounded queue of items. `limit` is in records, `most` in bytes; 0 is none but memory.

    `added` is how many items were dealt with, kept or dropped: a signal handler may raise in `add`, and then
    it tells whether that was before or after. So `add` makes no call between the two changes. `size` is the bytes
    that they take.
    """

    limit: int
    most: int
    added: int
    size: int

    def __len__(self) -> int: ...

    def add(self, item: Item) -> Item | None:
        """Put an item in, or make room for it by one step.

        Returns:
            None if it is in. What had to go: the item itself; or another one, and then this is to be called again.
        """

    def first(self, count: int) -> list[bytes]:
        """The oldest `count` records, left where they are."""

    def remove(self, count: int) -> None:
        """Take the oldest `count` records out."""

    def drain(self) -> Iterator[Item]:
        """Take everything out."""


class InOrder:
    """A queue that drops what is newest, or what is oldest."""

    def __init__(self, limit: int, most: int = 0, *, drop_oldest: bool = False) -> None:
        self.limit = limit
        self.most = most
        self.added = 0
        self.size = 0
        self._drop_oldest = drop_oldest
        self._items: deque[Item] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        weight = weight_of(item)
        full = (self.limit and len(self._items) >= self.limit) or (
            self.most and self.size + weight > self.most
        )
        if not full:
            self._items += (item,)
            self.size += weight
            self.added += 1
            return None
        if self._drop_oldest and self._items and not 0 < self.most < weight:
            return self._pop()
        self.added += 1
        return item

    def first(self, count: int) -> list[bytes]:
        """The oldest records."""
        return [encoded for _, _, encoded in islice(self._items, count)]

    def remove(self, count: int) -> None:
        """Take the oldest out."""
        for _ in range(count):
            self._pop()

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        while self._items:
            yield self._pop()

    def _pop(self) -> Item:
        gone = self._items.popleft()
        self.size -= weight_of(gone)
        return gone


class BySeverity:
    """A queue that drops the newest of the least severe; what it gives is still in the order it came.

    There is a queue for each level, of which a program has a handful.
    """

    def __init__(self, limit: int, most: int = 0) -> None:
        self.limit = limit
        self.most = most
        self.added = 0
        self.size = 0
        self._levels: dict[int, deque[tuple[int, Item]]] = {}
        self._count = 0
        self._number = 0

    def __len__(self) -> int:
        return self._count

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        weight, rank = weight_of(item), _rank(item)
        full = (self.limit and self._count >= self.limit) or (self.most and self.size + weight > self.most)
        if not full:
            level = self._levels.setdefault(rank, deque())
            level += ((self._number, item),)
            self._number += 1
            self._count += 1
            self.size += weight
            self.added += 1
            return None
        least = min((level for level, items in self._levels.items() if items), default=rank)
        if least >= rank or 0 < self.most < weight:
            self.added += 1
            return item
        gone = self._levels[least].pop()[1]
        self._count -= 1
        self.size -= weight_of(gone)
        return gone

    def first(self, count: int) -> list[bytes]:
        """The oldest records."""
        numbered = [pair for items in self._levels.values() for pair in islice(items, count)]
        return [item[2] for _, item in sorted(numbered)[:count]]

    def remove(self, count: int) -> None:
        """Take the oldest out."""
        for _ in range(count):
            self._pop()

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        while self._count:
            yield self._pop()

    def _pop(self) -> Item:
        oldest = min((items for items in self._levels.values() if items), key=lambda items: items[0][0])
        gone = oldest.popleft()[1]
        self._count -= 1
        self.size -= weight_of(gone)
        return gone


def _rank(item: Item) -> int:
    """The level that it counts as here: there is a queue for each, so there must not be too many."""
    return max(0, min(item[0], LEVELS))


def make_backlog(policy: Policy, limit: int, most: int = 0) -> InOrder | BySeverity:
    """The queue for a policy, for so many records and bytes."""
    if policy == "drop_least_severe":
        return BySeverity(limit, most)
    return InOrder(limit, most, drop_oldest=policy == "drop_oldest")
