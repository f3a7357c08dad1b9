"""Which component the chain's time goes to, found by sampling its thread's stack.

It costs messages nothing: a sample takes some 20 microseconds, 50 times a second, while somebody watches. Time counts
for a component while its code, or what that calls, runs, but not while it passes messages to another component.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

INTERVAL = 0.02
"""Seconds between two samples."""

_DECAY = 0.8
"""The factor by which earlier samples decay each second, so that shares describe the last few seconds."""

NO_COMPONENT = ""


class SamplingProfiler:
    """The shares of the last few seconds."""

    def __init__(self) -> None:
        """Start without samples."""
        self._seen: dict[str, float] = {}

    def sample(self, thread: int, names: Mapping[int, str]) -> None:
        """Sample what the thread is doing.

        Args:
            thread: its identifier.
            names: what the components are called, by their `id()`.
        """
        frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way, for debuggers
        name = _owner(frame, names)
        self._seen[name] = self._seen.get(name, 0.0) + 1

    def decay(self) -> None:
        """Let a second's decay happen."""
        self._seen = {name: weight * _DECAY for name, weight in self._seen.items() if weight > 0.01}

    def forget(self) -> None:
        """Forget all samples: nobody watches, and they will be out of date when somebody does."""
        self._seen.clear()

    def shares(self) -> Mapping[str, float] | None:
        """Each component's share of the time, from 0 to 1; None if there are too few samples."""
        total = sum(self._seen.values())
        if total < 10:
            return None
        return Counter({name: weight / total for name, weight in self._seen.items() if name != NO_COMPONENT})


def _owner(frame: FrameType | None, names: Mapping[int, str]) -> str:
    """The innermost component whose methods are running in this stack."""
    while frame is not None:
        if frame.f_code.co_varnames[:1] == ("self",):
            name = names.get(id(frame.f_locals.get("self")))
            if name is not None:
                return name
        frame = frame.f_back
    return NO_COMPONENT
