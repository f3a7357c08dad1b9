"""Looking at what a running component is given, without changing the chain, and without holding it up.

A tap stands at a component's door, `consume_many`, while somebody watches; nothing is there before and after. It
keeps what it cannot show as a number only: whoever watches learns how many messages he has not seen.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from message_passing.codecs.json import JSONEncoder
from message_passing.errors import EncodingError
from message_passing.lines import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from message_passing.component import Component

WAITING = 200_000
"""Messages that may wait for a watcher; what comes meanwhile is counted as missed."""

WAITING_BYTES = 64 * 1024 * 1024
"""And how many bytes."""

_SHOWN_BYTES = 256 * 1024
"""Of a longer message only the beginning is kept, as text."""


class Tap:
    """One watcher at one door. Filled by the chain's thread, emptied by another one.

    Attributes:
        missed: messages that came when too many waited, since the beginning.
    """

    def __init__(self, wake: Callable[[], object], waiting: int = WAITING) -> None:
        """Nothing has come.

        Args:
            wake: called by the chain's thread when there is something, once until it is taken.
            waiting: how many messages may wait.
        """
        self.missed = 0
        self._wake = wake
        self._limit = waiting
        self._came = self._taken = 0
        self._bytes_came = self._bytes_taken = 0
        self._batches: deque[tuple[float, list[bytes]]] = deque()
        self._encoder = JSONEncoder()

    @property
    def waiting(self) -> int:
        """How many messages wait to be taken."""
        return self._came - self._taken

    def see(self, messages: Sequence[Any]) -> None:
        """A batch goes by. In the chain's thread: what may change later is copied as JSON now."""
        room = self._limit - self.waiting
        if self._bytes_came - self._bytes_taken > WAITING_BYTES:
            room = 0
        if room < len(messages):
            self.missed += len(messages) - max(room, 0)
        if room <= 0:
            return
        kept = [*self._as_text(messages[:room] if room < len(messages) else messages)]
        self._batches.append((time.time(), kept))
        first = self._came == self._taken
        self._bytes_came += sum(map(len, kept))
        self._came += len(kept)
        if first:
            self._wake()

    def _as_text(self, messages: Iterable[Any]) -> Iterator[bytes]:
        for message in messages:
            if isinstance(message, Frame):
                yield from message.split(b"\n")
                continue
            try:
                if isinstance(message, str):
                    text = message.encode("utf-8", "backslashreplace")
                else:
                    text = message if type(message) is bytes else self._encoder.text_of(message)
            except EncodingError as error:
                text = f"{type(message).__name__} that cannot be shown: {error}".encode()
            yield text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES]

    def take(self) -> list[tuple[float, list[bytes]]]:
        """What has come since the last time: batches, and when each came (seconds since 1970)."""
        taken = []
        while self._batches:
            taken.append(self._batches.popleft())
        self._bytes_taken += sum(len(text) for _, batch in taken for text in batch)
        self._taken += sum(len(batch) for _, batch in taken)
        return taken


class Doors:
    """The doors of a chain at which somebody stands. To be used in the chain's thread, or while it does not run."""

    def __init__(self) -> None:
        """Nobody stands anywhere."""
        self._taps: dict[int, list[Tap]] = {}

    def add(self, component: Component, tap: Tap) -> None:
        """Show `tap` what `component` is given from now on; of an input, what it hands on."""
        taps = self._taps.setdefault(id(component), [])
        taps.append(tap)
        if len(taps) == 1:
            name, door = _door(component)

            def seen(messages: Any) -> None:
                for one in taps:
                    one.see(messages)
                door(messages)

            component.__dict__[name] = seen

    def remove(self, component: Component, tap: Tap) -> None:
        """No longer."""
        taps = self._taps.get(id(component), [])
        if tap in taps:
            taps.remove(tap)
        if not taps and self._taps.pop(id(component), None) is not None:
            component.__dict__.pop(_door(component)[0], None)


def _door(component: Component) -> tuple[str, Callable[[Any], None]]:
    """The method through which its messages come; an input has only the one through which they go."""
    name = "emit" if component.kind == "input" else "consume_many"
    door: Callable[[Any], None] = getattr(component, name)
    return name, door
