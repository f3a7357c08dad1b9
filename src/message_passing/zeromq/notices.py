"""What threads of the transport have to say to a person, for the component to say it in its own thread."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD = 60.0
"""Seconds within which the same thing is said once: peers try again many times."""

_KINDS = 1000
"""Of how many things it is remembered when they were said: strangers may come from anywhere."""


class Notices:
    """Sentences, each said once in a period."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet.

        Args:
            clock: seconds, monotonic.
        """
        self.wake: Callable[[], object] = lambda: None
        self._clock = clock
        self._said: dict[str, float] = {}
        self._texts: deque[str] = deque(maxlen=_KINDS)

    def say(self, kind: str, text: str) -> None:
        """Keep a sentence for `take`, from any thread, unless its kind was said just now."""
        now = self._clock()
        if now - self._said.get(kind, -PERIOD) < PERIOD:
            return
        self._said.pop(kind, None)
        self._said[kind] = now
        while len(self._said) > _KINDS:
            del self._said[next(iter(self._said))]
        self._texts.append(one_line(text))
        with contextlib.suppress(RuntimeError):  # the loop that was to be woken has ended
            self.wake()

    def take(self) -> list[str]:
        """What is to be said, once."""
        taken = []
        while self._texts:
            taken.append(self._texts.popleft())
        return taken
