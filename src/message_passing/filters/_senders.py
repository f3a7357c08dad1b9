"""The statistics that a `Follow` filter keeps of all senders, and the bounds on their size."""

from __future__ import annotations

import sys
import time
from collections import Counter
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, Any

from message_passing.filters._sequences import (
    COUNTERS,
    HIGHEST,
    RUNS,
    Runs,
    SenderStats,
    describe_sender,
    every_run,
    lost_of_name,
    release_runs,
    sums_of_name,
)
from message_passing.identity import is_run_id, sender_label
from message_passing.message_fields import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeGuard

NAME = 1000
"""The most characters of a sender's name; one with a longer name is not followed."""

RUN = "sender_run"
"""The field with the id of the run."""

RUN_BYTES = 800
"""Size of the statistics of one run besides the name and the gaps, in bytes."""

GAP_BYTES = 18
"""Size of a gap: two numbers of 8 bytes, and an array's spare room."""

OTHERS = "(other senders)"
"""The name for senders that `take_changes` does not distinguish."""

_MOST_CHANGES = 1000
"""The most services and hosts that it distinguishes."""

_SHARE = 20
"""The inverse of the share of senders that are forgotten at a time."""


class LossAccounting:
    """The statistics of all senders.

    Attributes:
        senders: the run that the last message was of, by name; with keys, by the key's name and the sender's.
        unstamped: messages without a stamp.
    """

    def __init__(self, senders: int, max_bytes: int, key_field: str) -> None:
        """Start with no senders.

        Args:
            senders: the most names with statistics.
            max_bytes: the most bytes of these.
            key_field: the field with the key's name; "" for none.
        """
        self.senders: dict[Any, SenderStats] = {}
        self.unstamped = 0
        self._most, self._max_bytes, self._key_field = senders, max_bytes, key_field
        self._forgotten: Counter[str] = Counter()
        self._bytes = self._gaps = 0  # of all senders
        self._of_key: Counter[str] = Counter()  # the bytes of each key's
        self._changes: Counter[str] = Counter()

    def meet(self, message: Any, now: float) -> None:
        """Count the first message of a sender, or one without a stamp."""
        found = message if isinstance(message, dict) else {}
        name, number = found.get("sender"), _whole(found.get("sequence"))
        key = found.get(self._key_field) if self._key_field else ""
        if not _names(name) or number is None or not _names(key):
            self.unstamped += 1
            return
        if len(self.senders) >= self._most:
            self._forget()
        whose = (key, name) if self._key_field else name
        sender = self.senders[whose] = SenderStats(name, _run_of(message), now)
        sender.origin = origin_of(message)
        self._grow(whose, self._size(whose, sender))
        self._enter(sender, number, whose)

    def take(self, whose: Any, sender: SenderStats, message: Any, now: float) -> None:
        """Count a message whose number is not simply the next one of its sender's current run."""
        number, run = _whole(message["sequence"]), _run_of(message)
        if number is None:
            self.unstamped += 1
            return
        if run != sender.run:
            other = self._other_run(whose, sender, run, now)
            if other is None:
                return
            other.origin = sender.origin
            sender = self.senders[whose] = other
        sender.seen = now
        self._enter(sender, number, whose)

    def _other_run(self, whose: Any, sender: SenderStats, run: str | None, now: float) -> SenderStats | None:
        runs = sender.runs or Runs(whose[1] if self._key_field else whose, sender)
        before = len(runs.known)
        found = runs.find(run, now)
        if len(runs.known) > before:
            if len(runs.known) > RUNS:
                self._gaps -= runs.forget_one().gaps
            else:
                self._grow(whose, RUN_BYTES)
        return found

    def _enter(self, sender: SenderStats, number: int, whose: Any) -> None:
        """Record the number, and keep the statistics within their bounds."""
        gaps, lost = sender.gaps, sender.lost
        sender.take(number)
        if new := sender.lost - lost:
            known = len(self._changes) < _MOST_CHANGES
            self._changes[self._label(whose, sender) if known else OTHERS] += new
        self._gaps += sender.gaps - gaps
        if self._bytes + self._gaps * GAP_BYTES > self._max_bytes:
            if self._gaps * GAP_BYTES > self._max_bytes // 4:
                self._forget_gaps()
            else:
                self._forget()

    def _label(self, whose: Any, sender: SenderStats) -> str:
        """The sender's readable name, the same after a restart; with keys, also the key, which cannot be forged."""
        label = sender.origin or sender_label(whose[1] if self._key_field else whose)
        return f"{label} with the key {whose[0]}" if self._key_field else label

    def take_changes(self) -> Counter[str]:
        """The change in each one's losses since the last call, by service and host."""
        changes, self._changes = self._changes, Counter()
        return changes

    def _grow(self, whose: Any, size: int) -> None:
        self._bytes += size
        if self._key_field:
            self._of_key[whose[0]] += size
            if not self._of_key[whose[0]]:
                del self._of_key[whose[0]]

    def _size(self, whose: Any, sender: SenderStats) -> int:
        """The size of a name and its runs in bytes, without the gaps."""
        names = map(
            sys.getsizeof, (sender.origin, whose, *whose) if self._key_field else (sender.origin, whose)
        )
        return sum(names) + RUN_BYTES * len(every_run(sender))

    def _forget_gaps(self) -> None:
        """Make room: forget half of the gaps of those with the most."""
        everyone = [run for sender in self.senders.values() for run in every_run(sender)]
        for sender in nlargest(max(1, len(everyone) // _SHARE), everyone, key=lambda one: one.gaps):
            gaps = sender.gaps
            sender.forget_gaps((gaps + 1) // 2)
            self._gaps += sender.gaps - gaps

    def _forget(self) -> None:
        """Make room: forget those that were idle longest.

        A share of all at a time, since finding them means scanning all. With keys, those of the key whose senders
        take most: however many senders are invented with one key, those of another stay if they take less.
        """
        items: Iterable[tuple[Any, SenderStats]] = self.senders.items()
        if self._key_field:
            most = max(self._of_key, key=self._of_key.__getitem__)
            items = (pair for pair in items if pair[0][0] == most)
        chosen = nsmallest(max(1, len(self.senders) // _SHARE), items, key=lambda pair: pair[1].seen)
        for whose, sender in chosen:
            counters = sums_of_name(sender)
            self._forgotten.update(counters)
            self._forgotten["senders"] += 1
            if counters["ambiguous"]:
                self._forgotten["estimated"] += counters["lost"]
            self._grow(whose, -self._size(whose, sender))
            self._gaps -= sum(run.gaps for run in every_run(sender))
            release_runs(sender)
            del self.senders[whose]

    def totals(self) -> dict[str, int]:
        """As `FollowFilter.totals` gives it."""
        found = Counter(self._forgotten)
        found["forgotten"] = found.pop("senders", 0)
        for sender in list(self.senders.values()):
            counters = sums_of_name(sender)
            found.update(counters)
            if counters["ambiguous"]:
                found["estimated"] += counters["lost"]
        found.update(senders=len(self.senders), unstamped=self.unstamped)
        return {name: found[name] for name in (*COUNTERS, "estimated", "senders", "forgotten", "unstamped")}

    def by_sender(self) -> dict[Any, dict[str, Any]]:
        """As `FollowFilter.by_sender` gives it."""
        return {whose: describe_sender(sender) for whose, sender in list(self.senders.items())}

    def values(self, name: str) -> list[tuple[Any, float]]:
        """As `FollowFilter.values` gives it."""
        everyone = list(self.senders.items())
        if name == "seen":
            return [(whose, sender.seen) for whose, sender in everyone]
        if name == "lost":
            return [(whose, lost_of_name(sender)) for whose, sender in everyone]
        return [(whose, sums_of_name(sender)[name]) for whose, sender in everyone]

    def book(self, whose: Any) -> dict[str, Any] | None:
        """As `FollowFilter.book` gives it."""
        sender = self.senders.get(whose)
        return describe_sender(sender) if sender else None

    def label_of(self, whose: Any) -> str:
        """The readable name of a sender: `service@host`, else its name without the run's id."""
        sender = self.senders.get(whose)
        name = whose[1] if self._key_field else whose
        return (sender.origin if sender else "") or sender_label(name)

    def losers(self) -> list[tuple[int, Any]]:
        """How many messages each sender lost."""
        found = [(lost_of_name(sender), whose) for whose, sender in self.senders.items()]
        return [(lost, whose) for lost, whose in found if lost]

    def ambiguous(self) -> list[tuple[int, Any]]:
        """The senders with estimated numbers, and how many messages of each are ambiguous."""
        found = [(sums_of_name(sender)["ambiguous"], whose) for whose, sender in self.senders.items()]
        return [(count, whose) for count, whose in found if count]

    def idle(self, seconds: float) -> int:
        """How many have been idle for so long."""
        since = time.time() - seconds
        return sum(sender.seen < since for sender in list(self.senders.values()))


def _whole(number: Any) -> int | None:
    """A sequence number, which in JSON may have a decimal point; None if it is not one."""
    if type(number) is float and number.is_integer():
        number = int(number)
    return number if type(number) is int and 1 <= number <= HIGHEST else None


def _names(name: Any) -> TypeGuard[str]:
    """Whether it is text that can be stored as a name."""
    return type(name) is str and len(name) <= NAME


def _run_of(message: Any) -> str | None:
    run = message.get(RUN)
    return run if is_run_id(run) else None
