"""What a run loses, by its counters: looked at once a second, reported while it happens, and handed to who keeps it.

The counters are kept anyway, so that a message that is lost costs no more for being reported.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from message_passing.clock import monotonic
from message_passing.errors import LossError
from message_passing.escaping import one_line
from message_passing.failures import LAST_RESORT, has_room, last_resort, report
from message_passing.graph import with_parts
from message_passing.metrics import FAILED_REASON, lost_words, plural, says_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from message_passing.component import Component

LOOK_INTERVAL = 1.0
"""Seconds between two looks at the counters: a loss is reported at the first look after it."""

LOSS_INTERVAL = 10.0
"""Seconds between two reports of one component's losses: what it lost meanwhile is in the second."""

FULL_FOR = 10.0
"""Seconds for which a queue that has dropped a message for want of room counts as full."""

NOT_ARRIVED = "did not arrive"
"""The reason of what senders lost on the way here."""

_SHOWN_SENDERS = 20
_NAMED_SENDERS = 3
_NAME = 100
"""Senders that a report has, and that its sentence names; and characters of a name there."""


class Loss(NamedTuple):
    """Messages that were lost in one way: by whom, why, and whose, if the sender is known."""

    component: str
    reason: str
    sender: str = ""


class LossMonitor:
    """Knows what the components of one run lose.

    Attributes:
        reports: whether losses are reported; somebody else does it for a worker.
        keep: given what was lost since the last look; less than nothing where it has come after all.
        ledger: the file in which that is kept; None where it is not.
        node: what this node is called in it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Nothing is lost yet.

        Args:
            clock: seconds, monotonic.
        """
        self.reports = True
        self.keep: Callable[[Mapping[Loss, int]], object] = lambda _: None
        self.ledger: Path | None = None
        self.node = ""
        self._clock = clock
        self._records: dict[int, _Record] = {}

    async def watch(self, components: Callable[[], Iterable[Component]]) -> None:
        """Look every `LOOK_INTERVAL`, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            self.look(components())

    def look(self, components: Iterable[Component]) -> None:
        """See what was lost since the last look, and report what is due. In the chain's thread.

        Args:
            components: of the run, with their error chains. What has left since is looked at until it is closed.
        """
        now = self._clock()
        for record in self._look(components, now):
            if self.reports and record.due <= now and record.pending and record.report():
                record.due = now + LOSS_INTERVAL

    def finish(self, components: Iterable[Component], *, tell: bool) -> None:
        """All are closed: see what was lost at last.

        Args:
            components: as in `look`.
            tell: whether what was not reported is written to standard error, as long as that takes it.
        """
        for _ in range(2):  # what senders lost counts from the second look on
            records = self._look(components, self._clock())
        for record in records:
            if tell and record.pending and has_room(sys.stderr, 0):
                last_resort(record.described())

    def is_full(self, component: Component) -> bool:
        """Whether it has dropped messages for want of room within `FULL_FOR`. From any thread."""
        record = self._records.get(id(component))
        return record is not None and self._clock() < record.full_until

    def _look(self, components: Iterable[Component], now: float) -> list[_Record]:
        found: Counter[Loss] = Counter()
        present = {id(one): one for one in with_parts(components)}
        for key, one in present.items():
            if key not in self._records:
                self._records[key] = _Record(one)
        looked = [*self._records.items()]
        for key, record in looked:
            was_open = record.component.is_open
            changed = record.look(found, now)
            if key not in present and not (was_open or record.was_open or changed):  # it has lost its last
                del self._records[key]
            record.was_open = was_open
        if lost := {loss: count for loss, count in found.items() if count}:
            self.keep(lost)
        return [record for _, record in looked]


class _Record:
    """What is known of one component.

    Attributes:
        component: which.
        pending: what it lost since its last report, by reason.
        due: when it may report again.
        full_until: until when it counts as full.
        was_open: whether it was open at the last look.
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        self.pending: Counter[str] = Counter()
        self.due = self.full_until = 0.0
        self.was_open = False
        self._dropped: dict[str, int] = {}
        self._lost: Counter[str] = Counter()
        self._senders: Counter[str] = Counter()
        self._fresh: Counter[str] = Counter()  # what may only be late: it counts from the next look on
        self._not_arrived = 0

    def look(self, found: Counter[Loss], now: float) -> bool:
        """Add what it lost since the last look; whether that was anything."""
        component, before = self.component, found.total()
        dropped = dict(component.metrics.dropped)  # in one step: other threads may count meanwhile
        if any(
            says_full(reason) and count > self._dropped.get(reason, 0) for reason, count in dropped.items()
        ):
            self.full_until = now + FULL_FOR
        lost = component.metrics.lost_for_good()
        for reason in {**lost, **self._lost}:
            if new := lost[reason] - self._lost[reason]:
                found[Loss(component.chain_name, reason)] += new
                if reason != FAILED_REASON:
                    self.pending[reason] += new
        self._dropped, self._lost = dropped, lost
        self._look_at_senders(found)
        return found.total() != before

    def _look_at_senders(self, found: Counter[Loss]) -> None:
        try:
            changes = Counter(self.component.take_sender_losses())
        except Exception as error:  # noqa: BLE001 - a component's fault must not end the monitor
            self.component.report(error)
            return
        if not changes and not self._fresh:
            return
        counted, self._fresh = self._fresh, +changes
        counted.subtract(-changes)  # of these, some have come after all
        for sender, new in counted.items():
            if new:
                found[Loss(self.component.chain_name, NOT_ARRIVED, sender)] += new
                self.pending[NOT_ARRIVED] += new
                self._not_arrived += new
                self._senders[sender] += new

    def report(self) -> bool:
        """Tell its error chain; whether there was something to tell, and room for it."""
        if self.pending.total() <= 0:  # it has come after all
            self._told()
            return False
        if self.component.error is LAST_RESORT and not has_room(sys.stderr, 0):
            return False
        self.component.report_loss(self.described())
        self._told()
        return True

    def described(self) -> dict[str, Any]:
        """As a report: `count` since the last one, `total` since the beginning, and `senders` if they are known."""
        count = self.pending.total()
        total = self._lost.total() - self._lost[FAILED_REASON] + self._not_arrived
        _, why = lost_words(self.pending, {})
        text = f"{plural(count)} lost: {why}{self._whose()}"
        if total > count:
            text += f"; {total} since the start"
        described = report(self.component.chain_name, LossError(text), ())
        described |= {"count": count, "total": total}
        if self._senders:
            described["senders"] = {
                one_line(sender, _NAME): lost for sender, lost in self._most(_SHOWN_SENDERS)
            }
        return described

    def _most(self, count: int) -> list[tuple[str, int]]:
        return (+self._senders).most_common(count)

    def _whose(self) -> str:
        if not self._senders:
            return ""
        named = [
            f"{n} of {one_line(sender, _NAME)}" for sender, n in self._senders.most_common(_NAMED_SENDERS)
        ]
        more = len(self._senders) - len(named)
        return f" ({', '.join(named)}{f' and {more} more senders' if more > 0 else ''})"

    def _told(self) -> None:
        self.pending.clear()
        self._senders.clear()
