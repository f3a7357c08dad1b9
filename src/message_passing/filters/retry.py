"""Redeliver messages that were lost downstream."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from message_passing.clock import monotonic
from message_passing.filters._redelivering import Redelivering
from message_passing.network.backoff import RetryPolicy
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.filters._redelivering import KeptBatch
    from message_passing.output import Output


class RetryFilter(Redelivering):
    """Redelivers a batch that was lost downstream, with increasing delays, until it is settled.

    It wraps an output that has no retries of its own, such as a `File` on a disk that is full: put it before the
    encoder or the output. What is rejected is not retried. Only what was lost is redelivered; where a filter between
    has made other messages of a batch, all of it is, one by one, so that some may arrive twice. Later messages may
    overtake it. Each loss is counted and reported where it happens, and what is lost for good is a loss there.

    Unsettled batches are kept, up to `buffer_messages` and `buffer_bytes`; inputs wait for room, and what does not
    fit is dropped and counted (`buffer full`). When the chain ends, retries continue for at most `flush_timeout`. It
    needs a running asyncio event loop, as every chain that is run by `message-passing` has.
    """

    name = "Retry"
    example = MappingProxyType({"attempts": 5})

    first: float = option(default=0.5, gt=0, description="Initial retry delay after a loss, in seconds.")
    longest: float = option(default=30.0, gt=0, description="Maximum delay between two attempts, in seconds.")
    attempts: int = option(
        default=0, ge=0, description="How many times a batch is tried before it is lost; 0: no limit."
    )
    give_up_after: float = option(
        default=0.0, ge=0, description="Seconds after which a batch is not tried again; 0: no limit."
    )

    def branch_of(self, kept: KeptBatch) -> Output:  # noqa: ARG002 - it has one
        """The next component."""
        return self._next

    def after_loss(self, kept: KeptBatch) -> float | None:
        """Increasing delays."""
        policy = RetryPolicy(self.first, self.longest, self.attempts, self.give_up_after)
        return policy.pause(kept.attempts, monotonic() - kept.began)
