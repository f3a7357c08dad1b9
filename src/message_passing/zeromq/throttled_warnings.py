"""Warnings from the transport's threads, for the component to report in its own thread, rate-limited."""

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
"""Seconds within which one kind is reported once, and then as a count: peers retry."""

_MOST_WARNINGS = 1000
"""The most kinds whose last report is remembered, and the most sentences that wait."""

_DISTINCT = 1000
"""The most distinct peers in a count; above that, it reads "more than"."""

_LONGEST_WARNING = 2000
"""The most characters of a sentence, which may quote a peer's data."""


@dataclass(slots=True)
class _Kind:
    """One kind of warning.

    Attributes:
        since: when it was last reported.
        count: how often it has happened since, unreported.
        last: the last of those sentences.
        peers: the peers concerned, up to `_DISTINCT`.
    """

    since: float
    count: int = 0
    last: str = ""
    peers: set[str] = field(default_factory=set)


class ThrottledWarnings:
    """Rate-limited sentences: the first of a kind at once, the rest once a period, as a count and the last one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start empty.

        Args:
            clock: seconds, monotonic.
        """
        self.wake: Callable[[], object] = lambda: None
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}
        self._texts: deque[str] = deque(maxlen=_MOST_WARNINGS)

    def say(self, kind: str, text: str, peer: str = "") -> None:
        """Queue a sentence for `take`, from any thread, or count it if its kind was reported recently.

        Args:
            kind: what is reported once a period. It names no peer: their number has no bound.
            text: the sentence.
            peer: the peer concerned.
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
        """Queue the counts that are due; to be called now and then, from any thread."""
        if self._settle(self._clock() - WARNING_PERIOD):
            self._call()

    def take(self, *, all_counts: bool = False) -> list[str]:
        """Return the queued sentences, once.

        Args:
            all_counts: also of kinds whose period is not over: this is the last call.
        """
        self._settle(self._clock() - (0.0 if all_counts else WARNING_PERIOD))
        taken = []
        while self._texts:
            taken.append(self._texts.popleft())
        return taken

    def _settle(self, until: float) -> bool:
        """Queue the counts of kinds last reported before that moment, and forget kinds without any."""
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
        with contextlib.suppress(RuntimeError):  # the loop to wake has ended
            self.wake()


def _counted(one: _Kind, now: float) -> str:
    if one.count == 1:
        return one.last
    different = len(one.peers - {""})
    more = "more than " if different > _DISTINCT else ""
    peers = f"{more}{min(different, _DISTINCT):,} peer{'' if different == 1 else 's'}"
    who = f", from {peers}" if different else ""
    return f"{one.last} (this was the last of {one.count:,} times in {round(now - one.since)} s{who})"
