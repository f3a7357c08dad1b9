"""What a running chain reports on standard error: problems, when they are solved, and signs of life.

The problems come from `Component.problems` and `notes`; when and how often they are reported is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from message_passing.clock import iso_now, monotonic
from message_passing.escaping import one_line
from message_passing.failures import has_room

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_passing.component import Component

ANNOUNCE_INTERVAL = 0.5
"""Seconds between two checks."""

REPEATS = (60.0, 600.0)
"""Seconds after which a lasting problem is reported again: for the second time, and each time after that."""

_MOST_TEXTS = 100
"""Different sentences of one component that are remembered: of more, none is told that was told before it."""

_PER_MINUTE = 10
"""The most lines about problems of one component within a minute."""


class _Voice:
    """What was reported of one component."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[int, float]] = {}  # how often each sentence was written, and when last
        self.lines: list[float] = []  # when the last ones were written
        self.waits = False  # whether it was reported as not connected
        self.waits_for_messages = False
        self.connected = self.begun = self.received = False

    def is_due(self, text: str, now: float, *, repeats: bool) -> bool:
        """Whether this is to be reported now; if so, that is recorded."""
        times, last = self.told.get(text, (0, 0.0))
        if times and (not repeats or now - last < REPEATS[min(times, len(REPEATS)) - 1]):
            return False
        self.lines = [one for one in self.lines if now - one < REPEATS[0]]
        if len(self.lines) >= _PER_MINUTE:
            return False
        self.lines.append(now)
        self.told.pop(text, None)
        while len(self.told) >= _MOST_TEXTS:
            del self.told[next(iter(self.told))]
        self.told[text] = times + 1, now
        return True


def _write(text: str) -> None:
    with contextlib.suppress(OSError, AttributeError, ValueError):  # there may be no standard error
        if has_room(sys.stderr, 0):
            sys.stderr.write(f"message-passing: {iso_now()}: {text}\n")


class Announcer:
    """Reports in the chain's event loop: a problem at once, after a minute, then every ten; its end once."""

    def __init__(
        self,
        components: Callable[[], Sequence[Component]],
        say: Callable[[str], object] | None = None,
        *,
        alive: bool = False,
        notes: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start with nothing reported.

        Args:
            components: those of the chain now.
            say: called with a sentence. Default: write it to standard error, if that does not block.
            alive: report signs of life too: where it listens, that it is connected, the first message.
            notes: report also what may not be a problem.
            clock: seconds, monotonic.
        """
        self._components = components
        self._say = say or _write
        self._alive = alive
        self._notes = notes
        self._clock = clock
        self._voices: dict[Component, _Voice] = {}
        self._ending = False

    def start(self) -> None:
        """Begin, in the event loop."""
        self.look()
        asyncio.get_running_loop().call_later(ANNOUNCE_INTERVAL, self.start)

    def end(self) -> None:
        """Nothing more is received: report only, from now on, why something that is left is not passed on."""
        self._ending = True

    def look(self) -> None:
        """Report what is due now."""
        now, before = self._clock(), self._voices
        self._voices = {one: before.get(one) or _Voice() for one in self._components()}
        for component, voice in self._voices.items():
            try:
                found = self._found(component, voice, now)
            except Exception:  # noqa: BLE001, S112 - what a user's component says of itself does not end the chain
                continue
            for text in found:
                self._say(one_line(f"{component.title}: {text}"))

    def _found(self, component: Component, voice: _Voice, now: float) -> list[str]:
        problems = component.problems()
        if self._ending:
            return [text for text in problems if component.held() and voice.is_due(text, now, repeats=True)]
        notes = component.notes() if self._notes else []
        info = component.info()
        where, peers = ", ".join(info.get("endpoints", ())), info.get("peers", 0)
        found = [f"listening on {where}"] if self._alive and info.get("listens") and not voice.begun else []
        voice.begun = True
        due = [text for text in problems if voice.is_due(text, now, repeats=True)]
        due += [text for text in notes if voice.is_due(text, now, repeats=False)]
        if due and not peers:
            voice.waits = True
        elif due and not component.metrics.received:
            voice.waits_for_messages = True
        if peers and not problems and (voice.waits or (self._alive and not voice.connected)):
            found.append(f"connected on {where}" if info.get("listens") else f"connected to {where}")
            voice.connected, voice.waits = True, False
            voice.told.clear()
        if component.metrics.received and not voice.received:
            voice.received = True
            if voice.waits_for_messages or (self._alive and where and component.kind == "input"):
                found.append("received the first message")
        return found + due


def totals(components: Sequence[Component]) -> list[str]:
    """A line for each input and output, and for each filter that removed something: how many messages there were.

    Losses are in `summaries.losses`.
    """
    lines = []
    for component in components:
        counted = component.snapshot()
        filtered = counted["filtered"]
        if component.kind in ("input", "output") or filtered:
            parts = [f"received {counted['received']:,}", f"passed {counted['passed']:,}"]
            parts += [f"filtered {filtered:,}"] if filtered else []
            lines.append(one_line(f"{component.title}: total: {', '.join(parts)}"))
    return lines
