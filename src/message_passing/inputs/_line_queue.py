"""Lines of several files that wait to become messages, in order."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

LineRun: TypeAlias = "tuple[Mapping[str, Any], list[bytes]]"
"""Lines, and the fields that all messages made of them have."""


class LineRuns(Sequence[LineRun]):
    """Runs as a sequence of lines: an item is a run of one line, made only when asked for.

    Attributes:
        runs: they.
    """

    def __init__(self, runs: list[LineRun]) -> None:
        """Of these, none of which is empty."""
        self.runs = runs
        self._ends = list(accumulate(len(lines) for _, lines in runs))

    def __len__(self) -> int:
        """How many lines there are."""
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> LineRun: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[LineRun]: ...

    def __getitem__(self, index: int | slice) -> LineRun | Sequence[LineRun]:
        """One line, and its fields; or several such."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        number = bisect_right(self._ends, at)
        fields, lines = self.runs[number]
        return fields, [lines[at - self._ends[number]]]

    @property
    def size(self) -> int:
        """Their bytes."""
        return sum(sum(map(len, lines)) for _, lines in self.runs)


class LineQueue:
    """Lines in runs.

    Attributes:
        count: how many lines there are.
    """

    def __init__(self) -> None:
        """Empty."""
        self.count = 0
        self._runs: deque[LineRun] = deque()
        self._taken = 0  # lines of the first run

    def add(self, fields: Mapping[str, Any], lines: list[bytes]) -> None:
        """Add a run, whose list is not used by anybody else from now on."""
        self._runs.append((fields, lines))
        self.count += len(lines)

    def take(self, most: int) -> list[LineRun]:
        """Take the first lines, at most so many."""
        found = []
        while most and self._runs:
            fields, lines = self._runs[0]
            part = (
                lines if not self._taken and len(lines) <= most else lines[self._taken : self._taken + most]
            )
            most -= len(part)
            self.count -= len(part)
            self._taken += len(part)
            if self._taken >= len(lines):
                self._runs.popleft()
                self._taken = 0
            found.append((fields, part))
        return found


def texts_of_lines(lines: list[bytes]) -> list[str]:
    """Lines as text, without a CR at the end. Decoding all of them at once takes half of the time."""
    text = b"\n".join(lines)
    if b"\r" in text:
        text = (text + b"\n").replace(b"\r\n", b"\n")[:-1]
    found = text.decode("utf-8", "backslashreplace").split("\n")
    if len(found) == len(lines):
        return found
    # What a container wrote may have a newline within.
    return [line.removesuffix(b"\r").decode("utf-8", "backslashreplace") for line in lines]
