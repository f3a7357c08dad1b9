"""What `Retry` and `Fallback` share: a batch is kept until it is settled, and handed on again if it was lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.delivery import Outcome
from message_passing.errors import MessageError, OutputClosedError
from message_passing.filters._buffering import POLL, BufferingFilter
from message_passing.filters._copying import copied
from message_passing.occupancy import bytes_of
from message_passing.options import option
from message_passing.output import running_loop, wait_for_change
from message_passing.redelivery import AttemptResult, DeliveryAttempt

if TYPE_CHECKING:
    import asyncio

    from message_passing.delivery import Hold
    from message_passing.output import Output


class KeptBatch:
    """A batch that has not been settled.

    Attributes:
        messages: as they came; of those, what is known not to have been lost is left out when some were.
        size: their bytes.
        hold: of the delivery that they belong to.
        began: when they came.
        attempts: how often they were handed on.
        branch: where to, by number.
        timer: until they are handed on again, or have been where they are for too long.
        waits: they were lost, and wait to be handed on again.
        exact: it is known what of them was lost; otherwise they are handed on one by one.
    """

    __slots__ = ("attempts", "began", "branch", "exact", "hold", "messages", "size", "timer", "waits")

    def __init__(self, messages: list[Any], size: int, hold: Hold) -> None:
        self.messages, self.size, self.hold = messages, size, hold
        self.began = monotonic()
        self.attempts = self.branch = 0
        self.timer: asyncio.TimerHandle | None = None
        self.waits, self.exact = False, True

    def stop_timer(self) -> None:
        """Nothing more comes of it."""
        if self.timer:
            self.timer.cancel()
            self.timer = None


class Redelivering(BufferingFilter):
    """Keeps each batch until what comes next has settled it. Define `branch_of` and `after_loss`."""

    transparent = True

    flush_timeout: float = option(
        default=10.0, ge=0, description="Seconds that shutdown waits for batches that are not settled."
    )

    def on_init(self) -> None:
        """Nothing is kept."""
        super().on_init()
        self._kept: dict[KeptBatch, None] = {}
        self._ending = False

    def branch_of(self, kept: KeptBatch) -> Output:
        """Where a batch is handed to."""
        raise NotImplementedError

    def after_loss(self, kept: KeptBatch) -> float | None:
        """In how many seconds a batch that was lost is handed on again; None if it is given up."""
        raise NotImplementedError

    def patience_with(self, kept: KeptBatch) -> float:  # noqa: ARG002 - for a subclass
        """Seconds after which a batch that is not settled counts as lost where it is; 0: no limit."""
        return 0.0

    def on_taken(self, kept: KeptBatch) -> None:
        """A batch has been settled, and was not lost."""

    def write_many(self, messages: list[Any]) -> None:
        """Keep a batch, as far as there is room, and hand it on.

        Raises:
            OutputClosedError: nobody reads any more what this hands on.
        """
        self.raise_gone()
        messages, size = self.keep_what_fits(messages, self.kept)
        if messages:
            kept = KeptBatch([*messages], size, self.hold())
            self._kept[kept] = None
            self._hand(kept)

    def _hand(self, kept: KeptBatch) -> None:
        kept.attempts, kept.waits = kept.attempts + 1, False
        branch, loop = self.branch_of(kept), running_loop()
        settle = partial(self._decide, kept, kept.attempts)
        patience = self.patience_with(kept)
        given_up = AttemptResult(Outcome.LOST, range(len(kept.messages)), exact=False)
        kept.timer = loop.call_later(patience, settle, given_up) if patience and loop else None
        try:
            # What a branch does to its messages is not seen by another, or the next time.
            messages = [copied(message) for message in kept.messages]
            tried = kept.hold.fate.tried if kept.hold.fate else 0
            attempt = DeliveryAttempt(self, lambda part: self.hand_to(branch, part, 0), settle, tried=tried)
            attempt.hand_on(messages, one_by_one=not kept.exact, in_order=False)
        except OutputClosedError:
            if not self.goes_on_without(kept):
                if kept in self._kept:
                    self._end(kept, Outcome.LOST)
                raise
        except RecursionError:
            self._leave_out_deep(kept)

    def _leave_out_deep(self, kept: KeptBatch) -> None:
        """Fail what cannot be copied, and hand on the others."""
        able, deep = [], []
        for message in kept.messages:
            try:
                copied(message)
            except RecursionError:
                deep.append(message)
            else:
                able.append(message)
        with kept.hold.resumed():
            self.fail(MessageError("nested too deeply to be copied, or holds itself"), deep)
        self._keep_only(kept, able)
        kept.attempts -= 1
        kept.stop_timer()
        if able:
            self._hand(kept)
        else:
            self._forget(kept)
            kept.hold.release()

    def goes_on_without(self, kept: KeptBatch) -> bool:  # noqa: ARG002 - for a subclass
        """Whether the chain goes on when nobody reads any more what a batch was handed to."""
        return False

    def _decide(self, kept: KeptBatch, attempt: int, result: AttemptResult) -> None:
        if kept not in self._kept or attempt != kept.attempts or kept.waits:
            return  # it has been given up there since
        kept.stop_timer()
        if result.outcome is Outcome.LOST:
            self._narrow(kept, result)
        if result.outcome is Outcome.LOST and (loop := running_loop()) and not self.stop_request.asked:
            seconds = self.after_loss(kept)
            if seconds is not None:
                kept.waits = True
                kept.timer = loop.call_later(0 if self._ending else seconds, self._hand_later, kept)
                return
        self._end(kept, result.outcome)

    def _narrow(self, kept: KeptBatch, result: AttemptResult) -> None:
        """Only what was lost is kept; the rest has passed."""
        kept.exact = kept.exact and result.exact
        if done := len(kept.messages) - len(result.lost):
            self._keep_only(kept, [kept.messages[index] for index in result.lost])
            self.hand_to(self.branch_of(kept), [], done)
        if result.rejected:
            kept.hold.note(Outcome.REJECTED)

    def _keep_only(self, kept: KeptBatch, messages: list[Any]) -> None:
        size = bytes_of(messages)
        self.kept.give_back(len(kept.messages) - len(messages), kept.size - size)
        kept.messages, kept.size = messages, size
        self.changed.set()

    def _hand_later(self, kept: KeptBatch) -> None:
        try:
            self._hand(kept)
        except OutputClosedError as error:
            self.note_gone(error)

    def _end(self, kept: KeptBatch, outcome: Outcome) -> None:
        """It is counted where it was handed to: here it has passed."""
        self._forget(kept)
        if outcome is not Outcome.LOST:
            self.on_taken(kept)
        self.hand_to(self.branch_of(kept), [], len(kept.messages))
        kept.hold.note(outcome, kept.messages)
        kept.hold.release()

    def _forget(self, kept: KeptBatch) -> None:
        kept.stop_timer()
        del self._kept[kept]
        self.kept.give_back(len(kept.messages), kept.size)
        self.changed.set()

    async def drain(self) -> None:
        """Wait until there is room here; what is downstream is waited for by that.

        Raises:
            OutputClosedError: nobody reads any more what this hands on.
        """
        await self.wait_for_room(1 / 2)

    async def flush(self) -> None:
        """Wait until what was handed on is settled; what is lost meanwhile is handed on again at once."""
        self._ending = True
        for kept in [*self._kept]:
            if kept.waits:
                kept.stop_timer()
                self._hand_later(kept)
        until = monotonic() + self.flush_timeout
        while self._kept and (left := until - monotonic()) > 0:
            await wait_for_change(self.changed, min(POLL, left))

    def on_close(self) -> None:
        """What was handed on, and is not settled, is what the next one makes of it, which counts it."""
        for kept in [*self._kept]:
            self._end(kept, Outcome.LOST)
