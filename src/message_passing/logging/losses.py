"""What a handler lost, why, and since when; and the record that tells the receiver of it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from message_passing.logging.entry import Entry
from message_passing.metrics import lost_words

if TYPE_CHECKING:
    from collections.abc import Mapping


class Losses:
    """Counts of dropped records. `refuse` may be called from any thread, the rest belongs to whoever sends.

    Attributes:
        dropped: records lost, by reason.
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self._refused: deque[tuple[str, str]] = deque()
        self._levels: Counter[str] = Counter()
        self._reasons: dict[str, None] = {}
        self._since = 0.0

    @property
    def untold(self) -> bool:
        """Whether the receiver has not heard of all of them."""
        return bool(self._levels)

    def refuse(self, reason: str, level: str) -> None:
        """Count a record that a caller could not even queue: an append, since two threads cannot add at once."""
        self._refused.append((reason, level))

    @property
    def refused(self) -> int:
        """Refused records that are not counted yet."""
        return len(self._refused)

    def count_refused(self) -> None:
        """Add up what callers could not queue."""
        while self._refused:
            self.add(*self._refused.popleft())

    def add(self, reason: str, level: str) -> None:
        """Count a lost record."""
        self.dropped[reason] += 1
        if not self._levels:
            self._since = time.time()
        self._levels[level] += 1
        self._reasons[reason] = None

    def notice(self) -> Entry:
        """The record that tells of all that is untold: how many of each level, why, since when."""
        reasons = ", ".join(self._reasons)
        counts = ", ".join(f"{count} {level}" for level, count in self._levels.most_common())
        since = datetime.fromtimestamp(self._since, UTC).isoformat().replace("+00:00", "Z")
        return Entry(
            time=time.time(),
            level="WARNING",
            level_number=logging.WARNING,
            logger="message_passing.logging",
            message=f"{self._levels.total()} records were dropped since {since} ({reasons}): {counts}",
            file=__file__,
            line=0,
            function="notice",
            thread_id=None,
            thread=None,
            extra={"dropped": dict(self._levels), "reason": reasons, "since": since},
        )

    def told(self) -> None:
        """The notice has been sent: the next one begins anew."""
        self._levels.clear()
        self._reasons.clear()


class Report:
    """Lines on stderr about losses that are new since the last one, for who asked for them."""

    def __init__(self, interval: float | None) -> None:
        """Prepare it.

        Args:
            interval: seconds between two lines; None for none at all.
        """
        self._interval = interval
        self._told = 0
        self._due = 0.0

    def tell(
        self, dropped: Counter[str], failed: int, possibly: Mapping[str, int], *, last: bool = False
    ) -> None:
        """Write a line, if there is something new and it is time, or the last time.

        Args:
            dropped: records lost so far, by reason.
            failed: records that could not be taken at all.
            possibly: records besides that may be lost, at most, by reason.
            last: there is no later.
        """
        if self._interval is None:
            return
        total = dropped.total() + failed + sum(possibly.values())
        if total == self._told or (time.monotonic() < self._due and not last):
            return
        count, why = lost_words({**dropped, "failed": failed}, possibly)
        with contextlib.suppress(Exception):  # stderr may be closed, or full
            sys.stderr.write(
                f"message-passing: {count} log records lost so far in process {os.getpid()}: {why}\n"
            )
        self._told = total
        self._due = time.monotonic() + self._interval
