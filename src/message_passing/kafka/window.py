"""Records of a topic from their arrival until they are settled, and those that come again."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from message_passing.kafka.records import KafkaRecord
from message_passing.network.consumer_window import ConsumerWindow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class RecordWindow(ConsumerWindow[KafkaRecord]):
    """Records from their arrival until they are settled; those that the chain loses come again from here.

    Attributes:
        next_due: when the first of those comes again; seconds, monotonic.
    """

    def prepare(self) -> None:
        """See `ConsumerWindow`."""
        self._later: list[tuple[float, int, KafkaRecord]] = []
        self._count = 0
        self._leaving: set[int] = set()

    @property
    def next_due(self) -> float:
        """When the first of those comes again; seconds, monotonic."""
        return self._later[0][0] if self._later else math.inf

    def answer_done(self, items: Sequence[KafkaRecord]) -> None:
        """See `ConsumerWindow`: their offsets may be passed."""
        for item in items:
            item.body = None
            item.settled = True

    def answer_later(self, item: KafkaRecord, delay: float) -> None:
        """See `ConsumerWindow`: Kafka does not send it again, so it stays here; its offset is not passed."""
        if self.stopping or item.dropped or item.key[0] in self._leaving:
            item.dropped = True
            return
        for one in item.each():
            self.keep(one)
            self._count += 1
            heapq.heappush(self._later, (self._clock() + delay, self._count, one))

    def arrived(self, records: list[KafkaRecord]) -> None:
        """Pass them on, or not any more."""
        for record in records:
            if record.body is None:
                record.settled = True
            elif self.stopping:
                record.dropped = True
            elif not record.dropped:
                self.admit(record)
        self._wake()

    def repeat(self) -> None:
        """Pass on again what is due."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            item = heapq.heappop(self._later)[2]
            if item.key in self._open:
                item.deliveries += 1
                self.ready.append(item)

    def drop(self, assignments: Collection[int]) -> None:
        """These partitions go to another node: what was not passed on, or was lost, is another one's."""
        self._leaving.update(assignments)
        kept = [item for item in self.ready if item.key[0] not in assignments]
        late = [entry for entry in self._later if entry[2].key[0] not in assignments]
        gone = [
            one for one in [*self.ready, *(entry[2] for entry in self._later)] if one.key[0] in assignments
        ]
        self._drop(gone)
        self.ready.clear()
        self.ready.extend(kept)
        self._later = late
        heapq.heapify(self._later)

    def forget(self, assignments: Collection[int]) -> None:
        """These partitions are another node's: what the chain still has of them is not waited for, nor repeated."""
        self.drop(assignments)
        self._drop([item for item in self._open.values() if item.key[0] in assignments])
        self._leaving.difference_update(assignments)

    def _drop(self, items: list[KafkaRecord]) -> None:
        for item in items:
            item.dropped = True
        self._closed(items)
        self._wake()
