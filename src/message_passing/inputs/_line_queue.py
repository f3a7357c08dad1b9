"""Lines of several files that wait to become messages, in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

LineRun: TypeAlias = "tuple[Mapping[str, Any], list[bytes]]"
"""Lines, and the fields that all messages made of them have."""


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
