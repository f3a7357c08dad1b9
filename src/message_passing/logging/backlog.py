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


class Backlog(Protocol):
    """A bounded queue of items. `limit` is in records; 0 is none but memory.

    `added` is how many items were dealt with, kept or dropped: a signal handler may raise in `add`, and then
    it tells whether that was before or after. So `add` makes no call between the two changes.
    """

    limit: int
    added: int

    def __len__(self) -> int: ...

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go for it, or the item itself, if there was no room."""

    def first(self, count: int) -> list[bytes]:
        """The oldest `count` records, left where they are."""

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""

    def remove(self, count: int) -> None:
        """Take the oldest `count` records out."""

    def drain(self) -> Iterator[Item]:
        """Take everything out."""


class InOrder:
    """A queue that drops what is newest, or what is oldest."""

    def __init__(self, limit: int, *, drop_oldest: bool = False) -> None:
        self.limit = limit
        self.added = 0
        self._drop_oldest = drop_oldest
        self._items: deque[Item] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        full = self.limit and len(self._items) >= self.limit
        if full and not self._drop_oldest:
            self.added += 1
            return item
        self._items += (item,)
        self.added += 1
        return self._items.popleft() if full else None

    def first(self, count: int) -> list[bytes]:
        """The oldest records."""
        return [encoded for _, _, encoded in islice(self._items, count)]

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""
        return list(islice(self._items, count))

    def remove(self, count: int) -> None:
        """Take the oldest out."""
        for _ in range(count):
            self._items.popleft()

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        while self._items:
            yield self._items.popleft()


class BySeverity:
    """A queue that drops the newest of the least severe; what it gives is still in the order it came.

    There is a queue for each level, of which a program has a handful.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.added = 0
        self._levels: dict[int, deque[tuple[int, Item]]] = {}
        self._count = 0
        self._number = 0

    def __len__(self) -> int:
        return self._count

    def add(self, item: Item) -> Item | None:
        """Put an item in; what had to go."""
        gone = None
        if self.limit and self._count >= self.limit:
            least = min(level for level, items in self._levels.items() if items)
            if least >= item[0]:
                self.added += 1
                return item
            gone = self._levels[least].pop()[1]
            self._count -= 1
        level = self._levels.setdefault(item[0], deque())
        level += ((self._number, item),)
        self._number += 1
        self._count += 1
        self.added += 1
        return gone

    def first(self, count: int) -> list[bytes]:
        """The oldest records."""
        return [encoded for _, _, encoded in self.items(count)]

    def items(self, count: int) -> list[Item]:
        """The same with their levels."""
        numbered = [pair for items in self._levels.values() for pair in islice(items, count)]
        return [item for _, item in sorted(numbered)[:count]]

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
        self._count -= 1
        return oldest.popleft()[1]


def make_backlog(policy: Policy, limit: int) -> InOrder | BySeverity:
    """The queue for a policy."""
    if policy == "drop_least_severe":
        return BySeverity(limit)
    return InOrder(limit, drop_oldest=policy == "drop_oldest")
