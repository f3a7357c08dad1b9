"""When a node last received a message, and what it lost in the last minute, by component and reason."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from message_passing.loss_monitor import Loss
from message_passing.metrics import growth, lost_by_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from message_passing.component import Component
    from message_passing.console.topology import ComponentView
    from message_passing.metrics import Snapshot

MINUTE = 60.0
"""Seconds that count as recent."""

_BUCKET = 5.0
"""Seconds that are summed up in one step: the last minute may be longer by that much."""


class _Bucket:
    def __init__(self, began: float) -> None:
        self.began = began
        self.lost: Counter[Loss] = Counter()
        self.lost_by_senders = 0


class Activity:
    """The last minute, from counters that are read once a second.

    Attributes:
        last_message: when an input last received something, in seconds since 1970, as exact as it is looked at: to a
            second. None if none has.
    """

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.last_message: float | None = None
        self._buckets: deque[_Bucket] = deque()
        self._before: dict[int, tuple[Component, int, Counter[str]]] = {}
        self._senders: int | None = None

    def note(self, now: float, places: Iterable[ComponentView], counters: Mapping[str, Snapshot]) -> None:
        """Look at the counters.

        Args:
            now: seconds since 1970.
            places: the components.
            counters: theirs. Those that are less than before have begun anew.
        """
        bucket = self._bucket(now)
        seen: dict[int, tuple[Component, int, Counter[str]]] = {}
        for place in places:
            one = counters[place.id]
            _, received, losses = self._before.get(id(place.component), (None, 0, Counter[str]()))
            if place.component.kind == "input" and one["received"] != received:
                self.last_message = now
            found = lost_by_reason(one["dropped"], one["failed"])
            for reason, count in found.items():
                if grown := growth(count, losses[reason]):
                    bucket.lost[Loss(place.id, reason)] += grown
            seen[id(place.component)] = place.component, one["received"], found
        self._before = seen

    def note_senders(self, now: float, lost: int | None) -> None:
        """How many messages senders have lost in total; None if loss tracking is off.

        A message that arrives late is no longer lost, so this may fall.
        """
        if lost is not None and self._senders is not None:
            self._bucket(now).lost_by_senders += lost - self._senders
        self._senders = lost

    def lost(self, now: float) -> Counter[Loss]:
        """What components have lost within the last minute."""
        found: Counter[Loss] = Counter()
        for bucket in self._recent(now):
            found.update(bucket.lost)
        return found

    def lost_by_senders(self, now: float) -> int:
        """How many messages more than a minute ago are missing of what senders have sent."""
        return max(0, sum(bucket.lost_by_senders for bucket in self._recent(now)))

    def _bucket(self, now: float) -> _Bucket:
        self._recent(now)
        if not self._buckets or now - self._buckets[-1].began >= _BUCKET:
            self._buckets.append(_Bucket(now))
        return self._buckets[-1]

    def _recent(self, now: float) -> Iterable[_Bucket]:
        while self._buckets and now - self._buckets[0].began >= MINUTE + _BUCKET:
            self._buckets.popleft()
        return self._buckets
