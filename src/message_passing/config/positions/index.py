"""The results of the scanners: for every key of a file, its line and column, and the keys within it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = str | int
"""A name, or the number of an item in a list."""


@dataclass(slots=True, eq=False)
class IndexEntry:
    """One key, or one item of a list.

    Attributes:
        line: from 1; and
        column: from 1, in characters.
        within: the keys or items of its value.
        explicit: it was written by itself, not only as the `a` of TOML's `[a.b]`.
    """

    line: int = 1
    column: int = 1
    within: dict[Key, IndexEntry] = field(default_factory=dict)
    explicit: bool = True


@dataclass(slots=True, eq=False)
class Index:
    """A file's keys.

    Attributes:
        root: the whole of it.
        repeated: keys that occur again in their table, each with the path of the table: only the last one counts.
    """

    root: IndexEntry = field(default_factory=IndexEntry)
    repeated: list[tuple[tuple[Key, ...], Key, IndexEntry]] = field(default_factory=list)

    def find(self, keys: Iterable[Key]) -> IndexEntry | None:
        """The innermost of these keys that is in the file: what is missing is reported where it should be.

        Returns:
            It; None when not even the first one is there.
        """
        found, entry = None, self.root
        for key in keys:
            inner = entry.within.get(key)
            if inner is None:
                break
            found = entry = inner
        return found


class Places:
    """Converts an offset in a text to its line and column."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(number + 1 for number, letter in enumerate(text) if letter == "\n")]

    def entry(self, offset: int, *, explicit: bool = True) -> IndexEntry:
        """What begins at `offset`."""
        line = bisect_right(self._starts, offset)
        return IndexEntry(line, offset - self._starts[line - 1] + 1, explicit=explicit)
