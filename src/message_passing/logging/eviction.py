"""Room in a full queue for a record that `policy` prefers to one that is there.

What was taken off the queue waits in a backlog, which knows its policy. But where the thread is held up, by a user's
function or by busy threads, the queue itself is full, and log calls are what finds it so. They do not wait for each
other: a record is looked at and taken out without a call in between, so that no other thread runs meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_passing.logging.snapshot import level_of_item
from message_passing.zeromq.sending import QUEUE_FULL

if TYPE_CHECKING:
    from collections import deque

    from message_passing.logging.backlog import Policy
    from message_passing.logging.entry import Entry
    from message_passing.logging.intake import Load
    from message_passing.logging.losses import Losses
    from message_passing.logging.snapshot import Snapshotted

Place = tuple[int, "Entry | Snapshotted"]
"""Where a record is in the queue, and which."""


class Eviction:
    """Takes the oldest record out of a queue, or the newest of the least severe."""

    def __init__(self, policy: Policy, queue: deque[Entry | Snapshotted], losses: Losses, load: Load) -> None:
        """Prepare it.

        Args:
            policy: what goes.
            queue: what callers have appended.
            losses: where to count.
            load: the long records in the queue.
        """
        self.possible = policy != "drop_newest"
        self._severity = policy == "drop_least_severe"
        self._queue = queue
        self._losses = losses
        self._load = load
        self._taken = -1  # how many had been taken off the queue when it was last looked through
        self._least = 0  # the lowest level that was found then
        self._places: list[Place] = []  # of records of that level, the newest last

    def make_room(self, item: Entry | Snapshotted, taken: int) -> bool:
        """Take out a record, if there is one that this one may displace; whether there was.

        Args:
            item: the record that comes.
            taken: how many have been taken off the queue so far.
        """
        if not self.possible or not self._queue:
            return False
        if not self._severity:
            return self._evict(0, self._queue[0])
        rank = level_of_item(item)[0]
        if self._taken != taken or (not self._places and rank > self._least):
            self._look_through(taken)
        if rank <= self._least:
            return False
        while self._places:
            if self._evict(*self._places.pop()):
                return True
        return False

    def _look_through(self, taken: int) -> None:
        items = list(self._queue)
        ranks = [level_of_item(item)[0] for item in items]
        self._least = least = min(ranks)
        self._places = [(place, items[place]) for place, rank in enumerate(ranks) if rank == least]
        self._taken = taken

    def _evict(self, place: int, item: Entry | Snapshotted) -> bool:
        count, unnumbered = self._losses.counters(QUEUE_FULL, level_of_item(item)[1])
        weight = 0 if isinstance(item, tuple) else item.weight
        queue = self._queue
        try:
            if queue[place] is not item:  # another thread was faster
                return False
            del queue[place]  # and now no call but those that count, which nothing interrupts
            next(count)
        except IndexError:
            return False
        next(unnumbered)
        self._load.taken += weight
        return True
