"""The losses of a run, by its counters: checked once a second, reported while they happen, and passed to the ledger.

The counters exist anyway, so that reporting a lost message costs nothing more.
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
"""Seconds between two checks of the counters: a loss is reported at the first check after it."""

LOSS_INTERVAL = 10.0
"""Seconds between two reports of one component's losses: the second includes everything lost in between."""

FULL_FOR = 10.0
"""Seconds for which a queue counts as full after it dropped a message for lack of room."""

NOT_ARRIVED = "did not arrive"
"""The reason of messages that senders lost on the way here."""

_SHOWN_SENDERS = 20
_NAMED_SENDERS = 3
_NAME = 100
"""The most senders in a report and in its sentence; and the most characters of a name there."""


class Loss(NamedTuple):
    """Messages lost by one component for one reason, with the sender if it is known."""

    component: str
    reason: str
    sender: str = ""


class LossMonitor:
    """Monitors what the components of one run lose.

    Attributes:
        reports: whether losses are reported; for a worker, its parent process does it.
        keep: called with what was lost since the last check; negative if it has arrived after all.
        ledger: the file in which that is recorded; None if it is not.
        node: the name of this node in it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start with nothing lost.

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
        """Check every `LOOK_INTERVAL`, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            self.look(components())

    def look(self, components: Iterable[Component]) -> None:
        """Check what was lost since the last check, and report what is due. In the chain's thread.

        Args:
            components: of the run, with their error chains. Removed components are checked until they are closed.
        """
        now = self._clock()
        for record in self._look(components, now):
            if self.reports and record.due <= now and record.pending and record.report():
                record.due = now + LOSS_INTERVAL

    def finish(self, components: Iterable[Component], *, tell: bool) -> None:
        """Check the last losses, after all are closed.

        Args:
            components: as in `look`.
            tell: whether to write what was not reported to standard error, as long as that accepts it.
        """
        for _ in range(2):  # what senders lost counts from the second check on
            records = self._look(components, self._clock())
        for record in records:
            if tell and record.pending and has_room(sys.stderr, 0):
                last_resort(record.described())

    def is_full(self, component: Component) -> bool:
        """Whether it has dropped messages for lack of room within `FULL_FOR`. From any thread."""
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
    """The losses of one component.

    Attributes:
        component: the component.
        pending: what it lost since its last report, by reason.
        due: when it may report again.
        full_until: until when it counts as full.
        was_open: whether it was open at the last check.
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        self.pending: Counter[str] = Counter()
        self.due = self.full_until = 0.0
        self.was_open = False
        self._dropped: dict[str, int] = {}
        self._lost: Counter[str] = Counter()
        self._senders: Counter[str] = Counter()
        self._fresh: Counter[str] = Counter()  # what may only be late counts from the next check on
        self._not_arrived = 0

    def look(self, found: Counter[Loss], now: float) -> bool:
        """Add what it lost since the last check; whether that was anything."""
        component, before = self.component, found.total()
        dropped = component.metrics.snapshot()["dropped"]  # in one step: other threads may count meanwhile
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
        counted.subtract(-changes)  # some of these have arrived after all
        for sender, new in counted.items():
            if new:
                found[Loss(self.component.chain_name, NOT_ARRIVED, sender)] += new
                self.pending[NOT_ARRIVED] += new
                self._not_arrived += new
                self._senders[sender] += new

    def report(self) -> bool:
        """Report to its error chain; whether there was something to report, and room for it."""
        if self.pending.total() <= 0:  # it has arrived after all
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
