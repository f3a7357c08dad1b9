"""Which of a sender's messages have arrived, by their numbers: the statistics of a run, and of all runs of a name.

Everything about a run of a sender follows from the set of its numbers that arrived, in whatever order:

    received = how many                 duplicated = arrivals - received
    before   = those missing below the first that arrived
    lost     = those missing between that one and the highest

The exceptions are where the set is not known: gaps beyond those that are remembered, and a sender that does not state
the run of a message. What is uncertain then is counted as such: `perhaps_lost`, `ambiguous`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from message_passing.filters._gaps import Gaps
from message_passing.identity import begun, names_one_run

GAPS = 1000
"""The most gaps remembered for one run; of older ones the size is kept, but not the position."""

RUNS = 100
"""The most runs remembered of one sender's name: processes that share it, or had it one after the other."""

HIGHEST = 2**53 - 1
"""The largest sequence number: JSON's numbers are exact up to it (RFC 8259, section 6)."""

COUNTERS = ("received", "lost", "perhaps_lost", "duplicated", "late", "restarted", "before", "ambiguous")
"""The counters that can be summed."""

_NEAR = 1000
"""A missing 1 that comes when the highest is less than this is late; otherwise the sequence begins anew."""

_NEVER: Any = object()
"""Is equal to no number."""


class SenderStats:
    """The statistics of one run of one sender.

    Attributes:
        expected: the number that comes next if nothing is missing; a caller that sees it only adds one.
        expected_of_run: the same where a message's run has to be compared as well. One of the two is always equal
            to nothing.
        run: the messages' run id; None when they have none.
        runs: the statistics of the name, if it has had more than one run.
        perhaps_lost: lost, or they arrived after all: so late that it was forgotten whether they were missing.
        duplicated: messages that had arrived before.
        late: messages that arrived after a higher number; they are no longer counted as lost.
        restarted: how often the sequence seemed to start over, without a run id to confirm it.
        ambiguous: messages without a run id whose number had arrived before: a duplicate, or another run's. As long
            as there is none, `lost` is exact for a name that one process has; once there is, it is an estimate.
        seen: when the last message came, in seconds since 1970.
        origin: `service@host`, as far as the first message said; else an empty text.
    """

    __slots__ = (
        "_exact",
        "_first",
        "_forgotten",
        "_gaps",
        "_horizon",
        "_lead",
        "_listened",
        "_lost",
        "_others",
        "ambiguous",
        "duplicated",
        "expected",
        "expected_of_run",
        "late",
        "met",
        "origin",
        "perhaps_lost",
        "restarted",
        "run",
        "runs",
        "seen",
    )

    def __init__(self, name: str, run: str | None, now: float, *, listened: bool = False) -> None:
        """Start with no messages.

        Args:
            name: the sender's.
            run: the id of the run.
            now: seconds since 1970.
            listened: whether the name was known before this run began, so that all it sent should have arrived.
        """
        self.run = run
        self.origin = ""
        self.runs: Runs | None = None
        self.expected: Any
        self.expected_of_run: Any
        self.expected, self.expected_of_run = (1, _NEVER) if run is None else (_NEVER, 1)
        self.seen = self.met = now
        self.duplicated = self.late = self.restarted = self.perhaps_lost = self.ambiguous = 0
        self._exact = run is not None or names_one_run(name)
        self._listened = listened
        self._others = 0  # what `received` has besides the numbers up to `expected`
        self._first = self._lead = self._lost = 0
        self._gaps: Gaps | None = None
        self._horizon = 0  # the positions of gaps up to here are forgotten
        self._forgotten = [0, 0]  # numbers in those: below the first that came, and above it

    @property
    def highest(self) -> int:
        """The highest sequence number so far."""
        expected = self.expected_of_run if self.expected is _NEVER else self.expected
        return int(expected) - 1  # a JSON number may have had a decimal point

    @property
    def received(self) -> int:
        """Messages that arrived, not counting duplicates."""
        return self.highest + self._others

    @property
    def lost(self) -> int:
        """Numbers that are missing."""
        return self._lost + self._lead if self._listened else self._lost

    @property
    def before(self) -> int:
        """Numbers below the first one that arrived: sent before we listened, or lost."""
        return 0 if self._listened else self._lead

    @property
    def gaps(self) -> int:
        """How many are remembered."""
        return len(self._gaps) if self._gaps else 0

    def compare_run(self) -> None:
        """From now on, the caller must compare the run as well as the number."""
        if self.expected is not _NEVER:
            self.expected, self.expected_of_run = _NEVER, self.expected
            self._exact = False  # whatever the name: a process has one way of stamping

    def take(self, number: int) -> None:
        """Count a message of this run whose number is not simply the next one."""
        if number > self.highest:
            self._skip_to(number)
        elif self._exact or number > 1 or self.highest < _NEAR:
            self._take_low(number)
        else:
            self._begin_anew()

    def _take_low(self, number: int) -> None:
        if self._gaps and self._gaps.remove(number):
            self.late += 1
            self._others += 1
            if number < self._first:
                self._lead -= 1
            else:
                self._lost -= 1
        elif number <= self._horizon and self._forgotten[number >= self._first]:
            self._take_forgotten(number >= self._first)
        elif self._exact:
            self.duplicated += 1
        elif number == 1:
            self._begin_anew()
        else:
            self.duplicated += 1
            self.ambiguous += 1

    def _take_forgotten(self, since_first: bool) -> None:
        self.perhaps_lost += 1
        self._forgotten[since_first] -= 1
        if since_first:
            self._lost -= 1
        else:
            self._lead -= 1
        if not self._exact:
            self.ambiguous += 1

    def _begin_anew(self) -> None:
        """Count an apparent restart: without a run id it cannot be told from a duplicate of the first."""
        self.restarted += 1
        self.ambiguous += 1
        self._others += self.highest  # what arrived before stays received, though counting starts over
        self._lost, self._lead, self._listened = self.lost, self.before, False
        self._first, self._horizon, self._forgotten, self._gaps = 1, 0, [0, 0], None
        if self.expected is _NEVER:
            self.expected_of_run = 2
        else:
            self.expected = 2

    def _skip_to(self, number: int) -> None:
        highest = self.highest
        missing = number - 1 - highest
        if self._first:
            self._lost += missing
        else:
            self._first, self._lead = number, missing
        self._others -= missing
        if self.expected is _NEVER:
            self.expected_of_run = number + 1
        else:
            self.expected = number + 1
        if missing:
            self._gaps = self._gaps or Gaps()
            self._gaps.append(highest + 1, number - 1)
            if len(self._gaps) > GAPS:
                self.forget_gaps(1)

    def forget_gaps(self, count: int) -> None:
        """Forget the positions of so many of the oldest gaps."""
        for first, last in self._gaps.forget(count) if self._gaps else ():
            self._horizon = last
            self._forgotten[last >= self._first] += last + 1 - first


class Runs:
    """All runs of one name.

    Attributes:
        known: the statistics of each, by its id; None for messages that have none.
        forgotten: the sums over those that are no longer known.
        since: when the first message with this name came.
    """

    __slots__ = ("_latest", "_name", "forgotten", "known", "since")

    def __init__(self, name: str, first: SenderStats) -> None:
        first.compare_run()
        first.runs = self
        self._name = name
        self._latest = ""  # of those that are forgotten
        self.known = {first.run: first}
        self.forgotten: Counter[str] = Counter()
        self.since = first.met

    def find(self, run: str | None, now: float) -> SenderStats | None:
        """The statistics of a run; None if it may be a forgotten one."""
        found = self.known.get(run)
        if found is None:
            if run is not None and run <= self._latest:
                self.forgotten["received"] += 1
                self.forgotten["ambiguous"] += 1
                return None
            listened = run is not None and begun(run) > self.since
            found = self.known[run] = SenderStats(self._name, run, now, listened=listened)
            found.runs = self
            found.compare_run()
            self.forgotten["restarted"] += 1
        return found

    def forget_one(self) -> SenderStats:
        """Forget the run that was idle longest, and return it."""
        oldest = min(self.known.values(), key=lambda one: one.seen)
        self.forgotten.update(sums(oldest))
        self._latest = max(self._latest, oldest.run or "")
        del self.known[oldest.run]
        oldest.runs = None  # without a cycle its memory is free at once
        return oldest


def sums(sender: SenderStats) -> dict[str, int]:
    """A run's counters."""
    return {counter: getattr(sender, counter) for counter in COUNTERS}


def every_run(sender: SenderStats) -> list[SenderStats]:
    """The statistics of all remembered runs of a sender's name."""
    return [sender] if sender.runs is None else [*sender.runs.known.values()]


def release_runs(sender: SenderStats) -> None:
    """Free the memory of all runs of a name at once: they and what holds them together refer to each other."""
    if sender.runs is not None:
        sender.runs.known.clear()
        sender.runs = None


def sums_of_name(sender: SenderStats) -> dict[str, int]:
    """The counters of all runs that a sender's name has had."""
    if sender.runs is None:
        return sums(sender)
    found = Counter(sender.runs.forgotten)
    for one in every_run(sender):
        found.update(sums(one))
    return {counter: found[counter] for counter in COUNTERS}


def lost_of_name(sender: SenderStats) -> int:
    """How many of these are lost."""
    return sender.lost if sender.runs is None else sums_of_name(sender)["lost"]


def describe_sender(sender: SenderStats) -> dict[str, Any]:
    """The statistics of a name as plain numbers, and its `origin`."""
    known = {"highest": sender.highest, "seen": sender.seen, "origin": sender.origin}
    return {**sums_of_name(sender), **known}
