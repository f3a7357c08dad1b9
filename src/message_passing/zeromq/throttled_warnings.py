"""What threads of the transport have to say to a person, for the component to say it in its own thread."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

WARNING_PERIOD = 60.0
"""Seconds within which one kind of thing is said once, and then how often it has happened: peers try again."""

_MOST_WARNINGS = 1000
"""Of how many kinds it is remembered when they were said, and how many sentences wait."""

_DISTINCT = 1000
"""How many different peers are told apart in a count; with more it is said that there are more."""

_LONGEST_WARNING = 2000
"""Characters of a sentence, which may quote what a peer has sent."""


@dataclass(slots=True)
class _Kind:
    """One kind of thing.

    Attributes:
        since: when it was said last.
        count: how often it has happened since, unsaid.
        last: the last sentence of these.
        peers: who it was, up to `_DISTINCT`.
    """

    since: float
    count: int = 0
    last: str = ""
    peers: set[str] = field(default_factory=set)


class ThrottledWarnings:
    """Sentences: of each kind the first at once, the others once in a period, as a count with the last of them."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Nothing was said yet.

        Args:
            clock: seconds, monotonic.
        """
        self.wake: Callable[[], object] = lambda: None
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}
        self._texts: deque[str] = deque(maxlen=_MOST_WARNINGS)

    def say(self, kind: str, text: str, peer: str = "") -> None:
        """Keep a sentence for `take`, from any thread, or count it when its kind was said just now.

        Args:
            kind: what may be said once in a period. It names no peer: of these there may be any number.
            text: the sentence.
            peer: whom it is about.
        """
        with self._lock:
            known = self._kinds.get(kind)
            if known:
                known.count += 1
                known.last = one_line(text, _LONGEST_WARNING)
                if len(known.peers) <= _DISTINCT:
                    known.peers.add(peer[:100])
            else:
                while len(self._kinds) >= _MOST_WARNINGS:
                    forgotten = self._kinds.pop(next(iter(self._kinds)))
                    if forgotten.count:
                        self._texts.append(_counted(forgotten, self._clock()))
                self._kinds[kind] = _Kind(self._clock())
                self._texts.append(one_line(text, _LONGEST_WARNING))
        if known:
            self.look()
        else:
            self._call()

    def look(self) -> None:
        """See which counts are to be said; to be called now and then, from any thread."""
        if self._settle(self._clock() - WARNING_PERIOD):
            self._call()

    def take(self, *, all_counts: bool = False) -> list[str]:
        """What is to be said, once.

        Args:
            all_counts: also of kinds whose period is not over: nobody will ask again.
        """
        self._settle(self._clock() - (0.0 if all_counts else WARNING_PERIOD))
        taken = []
        while self._texts:
            taken.append(self._texts.popleft())
        return taken

    def _settle(self, until: float) -> bool:
        """Say the counts of kinds that were said before that moment, and forget kinds without any."""
        with self._lock:
            due = [(kind, one) for kind, one in self._kinds.items() if one.since <= until]
            said = False
            for kind, one in due:
                if one.count:
                    self._texts.append(_counted(one, self._clock()))
                    self._kinds[kind] = _Kind(self._clock())
                    said = True
                else:
                    del self._kinds[kind]
        return said

    def _call(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop that was to be woken has ended
            self.wake()


def _counted(one: _Kind, now: float) -> str:
    if one.count == 1:
        return one.last
    different = len(one.peers - {""})
    more = "more than " if different > _DISTINCT else ""
    peers = f"{more}{min(different, _DISTINCT):,} peer{'' if different == 1 else 's'}"
    who = f", from {peers}" if different else ""
    return f"{one.last} (this was the last of {one.count:,} times in {round(now - one.since)} s{who})"
