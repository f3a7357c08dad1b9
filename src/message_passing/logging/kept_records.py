"""Encoded records that wait for a receiver: those that are sent next, and those without a subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.logging.backlog import make_backlog, share
from message_passing.logging.snapshot import level_of_item, levels_of
from message_passing.zeromq.sending import NO_SUBSCRIBER, QUEUE_FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from message_passing.logging.backlog import Backlog, Item, Policy
    from message_passing.logging.intake import Intake
    from message_passing.logging.losses import Losses


class KeptRecords:
    """Two backlogs.

    Attributes:
        next: what is sent next.
        unclaimed: what has no subscriber, and must not block the rest.
    """

    def __init__(self, policy: Policy, limit: int, most: int, losses: Losses) -> None:
        """Nothing is kept.

        Args:
            policy: what goes when there is too much.
            limit: records that either may have; 0 for no bound.
            most: bytes that may wait in all: half of them in `next`, a quarter in `unclaimed`; 0 for no bound.
            losses: where to count.
        """
        self._half, self._quarter = share(most, 2), share(most, 4)
        self.next: Backlog = make_backlog(policy, limit, self._half)
        self.unclaimed: Backlog = make_backlog(policy, limit, self._quarter)
        self._subscribed = 0
        self._losses = losses

    def __len__(self) -> int:
        return len(self.next) + len(self.unclaimed)

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return self.next.size + self.unclaimed.size

    def keep(self, intake: Intake) -> None:
        """Put what was not sent into the backlog."""
        backlog = self.next
        added = backlog.added
        try:
            backlog.extend(levels_of(intake.items), intake.texts)
        finally:  # without a call, in which a signal handler might raise
            done = backlog.added - added
            del intake.items[:done], intake.texts[:done]
        while intake.items:  # there is no room for them all
            (what, _), text = intake.items[0], intake.texts[0]
            added = backlog.added
            try:
                gone = backlog.add((*level_of_item(what), text))
            finally:
                if backlog.added > added:
                    del intake.items[0], intake.texts[0]
            if gone:
                self._losses.add(QUEUE_FULL, gone[1])

    def claim(self, subscribed: int) -> None:
        """Take back what had no subscriber, if there are new subscriptions since.

        Args:
            subscribed: a number that changes with what is subscribed to; 0 of a new socket.
        """
        if subscribed == self._subscribed:
            return
        # These are older: the others join them, and they change places.
        if subscribed and len(self.unclaimed):
            self.unclaimed.most = self._half
            self._move(self.next, self.unclaimed, len(self.next), QUEUE_FULL)
            self.next, self.unclaimed = self.unclaimed, self.next
            self.unclaimed.most = self._quarter
        self._subscribed = subscribed

    def put_aside(self, count: int) -> None:
        """Set aside the next so many: they have no subscriber."""
        self._move(self.next, self.unclaimed, count, NO_SUBSCRIBER)

    def _move(self, source: Backlog, target: Backlog, count: int, reason: str) -> None:
        """Move the oldest records from one queue to the end of another; what has no room there is lost."""
        items = source.items(count)
        for number, item in zip(source.numbers, items, strict=True):
            while source.done <= number:
                added, gone = target.added, None
                try:
                    gone = target.add(item)
                finally:  # without a call, in which a signal handler might raise
                    if target.added > added:
                        source.done = number + 1
                if gone:
                    self._losses.add(reason, gone[1])

    def drain(self) -> Iterator[Item]:
        """Take everything out."""
        yield from self.next.drain()
        yield from self.unclaimed.drain()
