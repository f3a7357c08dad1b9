"""What a handler lost, why, and since when; and the record that reports it to the receiver.

Any thread may count, even a signal handler in the middle of counting, without waiting: each kind of loss has an
`itertools.count`, whose `next` cannot be interrupted. What it has come to is in its `repr`.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from message_passing.clock import monotonic, wall
from message_passing.logging.entry import Entry
from message_passing.logging.stderr import say
from message_passing.metrics import lost_words

_MOST_LOSSES = 200
"""Different losses (a reason and a level's name) that are counted separately; further ones have the level `other`."""

HANDLER_CLOSED = "closed"
"""The reason of what is logged while the interpreter ends, by threads that it is about to stop: that is no news."""

_LEVEL = 50
"""Characters of a level's name that are kept."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


Telling = tuple[float, Counter[tuple[str, str]]]
"""What a notice reports: since when, in seconds since 1970, and how many records by reason and level."""


class Losses:
    """Counts of lost records.

    Attributes:
        unnumbered: how many of them had not been given a sequence number.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], itertools.count[int]] = {}
        self._failed = itertools.count()
        self._unnumbered = itertools.count()
        self._told_total = 0
        self._told: dict[tuple[str, str], int] = {}
        self._telling: tuple[int, dict[tuple[str, str], int]] = 0, {}
        self._unheard: deque[Telling] = deque()  # in notices that were lost
        self._since = 0.0

    @property
    def untold(self) -> bool:
        """Whether the receiver has not heard of all of them."""
        if not self._counts:
            return False
        return bool(self._unheard) or sum(self._reached().values()) > self._told_total

    @property
    def unnumbered(self) -> int:
        """How many of them had not been given a sequence number."""
        return _reached(self._unnumbered)

    @property
    def dropped(self) -> Counter[str]:
        """Records lost, by reason."""
        found: Counter[str] = Counter()
        for (reason, _), count in self._reached().items():
            found[reason] += count
        return found

    @property
    def failed(self) -> int:
        """Records of which nothing could be taken."""
        return _reached(self._failed)

    def fail(self) -> None:
        """Count a record of which nothing could be taken. No notice tells of it: a signal may have ended the call."""
        next(self._failed)
        next(self._unnumbered)

    def refuse(self, reason: str, level: str) -> None:
        """Count a lost record that had not been given a sequence number."""
        self.add(reason, level)
        next(self._unnumbered)

    def add(self, reason: str, level: str) -> None:
        """Count a lost record."""
        if self._since and (count := self._counts.get((reason, level))) is not None:  # nearly all of them
            next(count)
        else:
            next(self._counter(reason, level))

    def counters(self, reason: str, level: str) -> tuple[Iterator[int], Iterator[int]]:
        """What to call `next` of for each lost record that had not been given a sequence number."""
        return self._counter(reason, level), self._unnumbered

    def _counter(self, reason: str, level: str) -> Iterator[int]:
        if not self._since:
            self._since = wall()
        key = reason, level if len(level) <= _LEVEL else level[:_LEVEL]
        if (count := self._counts.get(key)) is None:
            if len(self._counts) >= _MOST_LOSSES:
                key = reason, "other"
            count = self._counts.setdefault(key, itertools.count())
        return count

    def notice(self) -> Entry:
        """The record that reports all unreported losses: how many of each level, why, and since when."""
        while self._unheard:
            begin, lost = self._unheard.popleft()
            self._since = min(begin, self._since or begin)
            self._told = {key: count - lost[key] for key, count in self._told.items()}
            self._told_total -= lost.total()
        counted = self._reached()
        self._telling = sum(counted.values()), counted
        levels: Counter[str] = Counter()
        told: dict[str, None] = {}
        for (reason, level), count in counted.items():
            if new := count - self._told.get((reason, level), 0):
                levels[level] += new
                told[reason] = None
        reasons = ", ".join(told)
        counts = ", ".join(f"{count} {level}" for level, count in levels.most_common())
        since = datetime.fromtimestamp(self._since or wall(), UTC).isoformat().replace("+00:00", "Z")
        return Entry(
            time=wall(),
            level="WARNING",
            level_number=logging.WARNING,
            logger="message_passing.logging",
            message=f"{levels.total()} records were dropped since {since} ({reasons}): {counts}",
            file=__file__,
            line=0,
            function="notice",
            thread_id=None,
            thread=None,
            extra={"dropped": dict(levels), "reason": reasons, "since": since},
        )

    def telling(self) -> Telling:
        """What the last notice reports, while it is not sent."""
        return self._since or wall(), Counter(self._telling[1]) - Counter(self._told)

    def retell(self, telling: Telling) -> None:
        """A notice that was sent, and reported this, was lost: the next one reports it. From any thread."""
        self._unheard.append(telling)

    def told(self) -> None:
        """The last notice has been sent: the next one begins where it ended."""
        self._since = 0.0
        self._told_total, self._told = self._telling

    def _reached(self) -> dict[tuple[str, str], int]:
        return {key: _reached(count) for key, count in list(self._counts.items())}


def _reached(count: itertools.count[int]) -> int:
    """How often `next` was called: looking must not be counted."""
    return int(repr(count)[len("count(") : -1])


class Report:
    """Lines on stderr about losses that are new since the last one: at the end, and at an interval if one is set."""

    def __init__(self, interval: float | None) -> None:
        """Prepare it.

        Args:
            interval: seconds between two lines; None for one at the end alone, 0 for none at all.
        """
        self._interval = interval
        self._told = 0
        self._due = 0.0

    def tell(self, losses: Losses, possibly: Mapping[str, int], *, last: bool = False) -> None:
        """Write a line, if there is something new and it is time, or the last time.

        Args:
            losses: what was lost so far.
            possibly: records besides that may be lost, at most, by reason.
            last: there is no later.
        """
        if self._interval == 0 or (not last and (self._interval is None or monotonic() < self._due)):
            return
        dropped, failed = losses.dropped, losses.failed
        del dropped[HANDLER_CLOSED]
        total = dropped.total() + failed + sum(possibly.values())
        if total == self._told:
            return
        count, why = lost_words({**dropped, "failed": failed}, possibly)
        if say(f"{count} log records lost so far in process {os.getpid()}: {why}"):
            self._told = total
        self._due = monotonic() + (self._interval or 0)
