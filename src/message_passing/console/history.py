"""The last hour, second by second: what each component received, passed on and lost, and what senders lost."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from message_passing.metrics import growth, lost_by_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from message_passing.metrics import Snapshot

STEPS = 3600
"""Seconds that are kept: an hour. A component takes 86 KB of memory for it."""


class Counted(NamedTuple):
    """How many messages in one step, or since the start."""

    received: int
    passed: int
    lost: int


def counted(snapshot: Snapshot) -> Counted:
    """The counters of a component that are kept."""
    lost = lost_by_reason(snapshot["dropped"], snapshot["failed"])
    return Counted(snapshot["received"], snapshot["passed"], lost.total())


class _Ring:
    """One component's steps; the latest overwrite the oldest."""

    def __init__(self) -> None:
        self.columns = tuple(array("q", bytes(8 * STEPS)) for _ in Counted._fields)
        self.before = Counted(0, 0, 0)


class History:
    """Steps of about a second each.

    Attributes:
        latest: the last step's counts, by component.
        took: how long that step was, in seconds.
    """

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.latest: dict[str, Counted] = {}
        self.took = 1.0
        self._rings: dict[str, _Ring] = {}
        self._times = array("d", bytes(8 * STEPS))
        self._by_senders = array("q", bytes(8 * STEPS))
        self._senders: int | None = None
        self._senders_before: int | None = None
        self._count = 0

    def note_senders(self, lost: int | None) -> None:
        """How many messages senders have lost in total on their way here; None if loss tracking is off.

        It is in the next step by as many as it has grown. What comes late after all is lost no more, so it may fall:
        that is taken from no step.
        """
        self._senders = lost

    def add(self, now: float, counters: Mapping[str, Counted]) -> None:
        """Add a step.

        Args:
            now: seconds since 1970.
            counters: by component, the sums since the beginning. One that is less than before has begun anew.
        """
        index = self._count % STEPS
        if self._count:
            self.took = max(now - self._times[(self._count - 1) % STEPS], 1e-3)
        self._times[index] = now
        known = None not in (self._senders, self._senders_before)
        self._by_senders[index] = max(0, (self._senders or 0) - (self._senders_before or 0)) if known else 0
        self._senders_before = self._senders
        self.latest = {}
        for name, sums in counters.items():
            ring = self._rings.setdefault(name, _Ring())
            grown = map(growth, sums, ring.before)
            step = Counted(*grown) if self._count else Counted(0, 0, 0)
            self.latest[name], ring.before = step, sums
            for column, value in zip(ring.columns, step, strict=True):
                column[index] = value
        for name in self._rings.keys() - counters.keys():  # it is no part of the chain any more
            for column in self._rings[name].columns:
                column[index] = 0
        self._count += 1

    def rates(self, name: str) -> Counted:
        """Messages in the last step; divide by `took` for messages a second."""
        return self.latest.get(name, Counted(0, 0, 0))

    def last(self, seconds: int, names: Iterable[str]) -> dict[str, object]:
        """The steps of the last so many seconds, oldest first, as `GET /history` gives them."""
        count = min(self._count, STEPS, max(0, seconds))
        where = [index % STEPS for index in range(self._count - count, self._count)]
        return {
            "step": 1.0,
            "times": [self._times[index] for index in where],
            "lost_by_senders": [self._by_senders[index] for index in where],
            "components": {
                name: {
                    field: [column[index] for index in where]
                    for field, column in zip(Counted._fields, ring.columns, strict=True)
                }
                for name in names
                if (ring := self._rings.get(name))
            },
        }
