"""Pass messages to another output where the first one loses them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.filters._branching import Branching
from message_passing.filters._redelivering import Redelivering
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.filters._redelivering import KeptBatch
    from message_passing.output import Output


class FallbackFilter(Branching, Redelivering):
    """Passes messages to the first of several outputs, and to the next one where that loses them.

    `output_to` lists them in order of preference. An output that lost a batch is skipped for `pause` seconds, unless
    the others have lost it too. The next one gets what was lost; where a filter between has made other messages of a
    batch, all of it, which may then arrive in both. What is rejected goes nowhere else. An output that has not
    settled a batch within `patience` seconds counts as having lost it; if it settles the batch later, it has arrived
    in both. The last one has no time limit.

    Each loss is counted and reported where it happens, and a batch that all have lost is a loss of the last. What is
    not settled is kept, up to `buffer_messages` and `buffer_bytes`; inputs wait for room, and what does not fit is
    dropped and counted (`buffer full`). It needs a running asyncio event loop, as every chain that is run by
    `message-passing` has.
    """

    name = "Fallback"
    example = MappingProxyType({"pause": 10})

    output_to: Any = option(
        default=None,
        description="Where messages go: a list of components, or of anything with `consume`, in order of preference.",
        python_only=True,
    )
    pause: float = option(
        default=10.0, ge=0, description="Seconds for which an output that lost messages is skipped."
    )

    patience: float = option(
        default=30.0,
        ge=0,
        description="Seconds that an output may take to settle a batch before the next one gets it; 0: no limit.",
    )

    def on_branches(self) -> None:
        """None of them has lost anything yet."""
        self._bad_until = [0.0] * len(self._branches)

    def branch_of(self, kept: KeptBatch) -> Output:
        """The outputs to try: at the first attempt the first one without a recent loss; then the next."""
        if kept.attempts == 1 and not kept.branch:
            now = monotonic()
            kept.branch = next((n for n, until in enumerate(self._bad_until) if until <= now), 0)
        return self._branches[min(kept.branch, len(self._branches) - 1)]

    def after_loss(self, kept: KeptBatch) -> float | None:
        """The delay: none, until each output has had the batch."""
        self._bad_until[kept.branch] = monotonic() + self.pause
        if kept.attempts >= len(self._branches):
            return None
        kept.branch = (kept.branch + 1) % len(self._branches)
        return 0.0

    def on_taken(self, kept: KeptBatch) -> None:
        """An output that accepts messages is no longer skipped."""
        self._bad_until[kept.branch] = 0.0

    def patience_with(self, kept: KeptBatch) -> float:
        """The time limit, for all but the last."""
        return self.patience if kept.attempts < len(self._branches) else 0.0

    def goes_on_without(self, kept: KeptBatch) -> bool:
        """If there is another."""
        return kept.waits
