"""The base of outputs that send batches to a peer: a subclass defines only how a batch is sent."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from message_passing.clock import monotonic
from message_passing.component import MOST_PROBLEMS
from message_passing.delivery import Outcome
from message_passing.encoded import all_as_bytes
from message_passing.errors import PeerError
from message_passing.flow import Output
from message_passing.metrics import UNSENT
from message_passing.network.backoff import RetryLater, RetryPolicy
from message_passing.network.buffer import Batch, Buffer, Queue
from message_passing.network.obstacles import Obstacles, addressed
from message_passing.options import option
from message_passing.output import BUFFER_FULL, wait_for_change

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

_LONG = 60.0
"""The most seconds between two checks, whatever happens."""


_PATIENCE = 1.0
"""Seconds that inputs which lose what they do not read (`Input.can_wait`) wait for room."""

_NEXT = 1000
"""The most messages of an input's next batch: `drain` waits for room for as many."""


class NetworkOutput(Output):
    """Sends messages in batches, several at a time, and retries what a peer did not accept.

    Define `async send(messages)`: it sends a batch of bytes to the peer and returns when the peer has it. It raises:

    - `RetryLater`, an `OSError` or `TimeoutError`: the batch is retried, with increasing delays, up to `attempts` and
      `give_up_after`; then it fails, which is a loss;
    - a `MessageError`: the peer will never accept it; it fails and is REJECTED.

    With `dead_letters`, messages that fail, or are left at the end, go to the error chain whole, each separately.

    Where the destination depends on the message, set `takes_objects = True`, and define `target_of(message)`, which
    receives the object that was passed to the encoder before this, and `async send_to(target, messages)` in place of
    `send`: a batch has messages of one target. Targets share the bounds, and `in_flight`, of which one has
    `in_flight_each`. A batch that waits to be retried uses room in the buffer, and does not count in `in_flight`.

    What waits is bounded in messages and bytes. Within a chain, inputs wait while there is no room; those that lose
    messages by waiting do so for one second. What does not fit is dropped and counted (`buffer full`). At the end,
    what waits is sent for as long as something is accepted within `flush_timeout`; what is left is counted
    (`unsent at close`).
    """

    confirms = "acknowledged by the peer"
    weighs = True

    buffer_messages: int = option(default=10_000, ge=1, description="The most messages that wait to be sent.")
    buffer_bytes: int = option(default=64 << 20, ge=1, description="The most bytes that wait to be sent.")
    batch_messages: int = option(default=1000, ge=1, description="The most messages in a batch.")
    batch_bytes: int = option(
        default=1 << 20, ge=1, description="The most bytes in a batch; a larger message is sent alone."
    )
    batch_age: float = option(
        default=0.1,
        ge=0,
        description="Maximum seconds that a message waits for others to fill its batch.",
    )
    in_flight: int = option(
        default=4, ge=1, description="How many batches may be in flight. 1 preserves their order."
    )
    in_flight_each: int = option(
        default=0,
        ge=0,
        description="How many batches of one target may be in flight or waiting to be retried, "
        "where the target depends on the message. 0: half of `in_flight`.",
    )
    timeout: float = option(default=30.0, gt=0, description="Seconds that sending a batch may take.")
    retry_first: float = option(
        default=0.5, gt=0, description="Initial retry delay after a failure, in seconds."
    )
    retry_longest: float = option(
        default=30.0,
        gt=0,
        description="Maximum delay between two attempts, in seconds.",
    )
    attempts: int = option(
        default=0, ge=0, description="How many times a batch is tried before it fails; 0: no limit."
    )
    give_up_after: float = option(
        default=0.0, ge=0, description="Seconds after which a batch that is not accepted fails; 0: no limit."
    )
    flush_timeout: float = option(
        default=10.0,
        ge=0,
        description="Seconds in which nothing is accepted after which closing stops waiting.",
    )

    async def send(self, messages: list[bytes]) -> None:
        """Send a batch, and return when the peer has it.

        Raises:
            RetryLater: the peer cannot accept it now. `OSError` and `TimeoutError` mean the same.
            MessageError: the peer will never accept it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define send")

    async def send_to(self, target: Any, messages: list[bytes]) -> None:  # noqa: ARG002 - for a subclass
        """Send a batch to one target, as returned by `target_of`; it calls `send`, for outputs with only one."""
        await self.send(messages)

    async def send_batch(self, batch: Batch) -> None:
        """Send a batch; it calls `send_to`. An output may remember in `batch.prepared` what the peer has of it."""
        await self.send_to(batch.target, batch.messages)

    def unsent_of(self, batch: Batch) -> Sequence[bytes]:
        """The messages of a batch that the peer does not have, each by itself, for their dead letters."""
        return batch.messages

    def target_of(self, message: Any) -> Hashable:  # noqa: ARG002 - for a subclass
        """The target of a message, for a class that `takes_objects`. An exception here fails the message.

        Args:
            message: an object; bytes or text where messages arrive already encoded.

        Raises:
            MessageError: the message has no target.
        """
        return None

    def on_init(self) -> None:
        """Nothing waits."""
        super().on_init()
        self._buffer = Buffer(self.buffer_messages, self.buffer_bytes, self.batch_messages, self.batch_bytes)
        self._sending: dict[asyncio.Task[None], Batch] = {}
        self._left: list[Batch] = []  # what was being sent at the end
        self._resting = 0  # those of them that wait to be retried
        self._of: Counter[Hashable] = Counter()  # and their number by target
        self._each = (
            self.in_flight_each or max(1, self.in_flight // 2) if self.takes_objects else self.in_flight
        )
        self._changed = asyncio.Event()
        self._flushing = False
        self._moved_at = 0.0
        self._obstacles = Obstacles()
        self._retries = RetryPolicy(self.retry_first, self.retry_longest, self.attempts, self.give_up_after)

    def write_many(self, messages: list[Any]) -> None:
        """Queue a batch, divided by target."""
        if not self.takes_objects:
            self.accept(None, all_as_bytes(self, messages))
            return
        by_target: dict[Hashable, list[Any]] = {}
        for message in messages:
            try:
                by_target.setdefault(self.target_of(message), []).append(message)
            except Exception as error:  # noqa: BLE001 - any failure has one route
                self.fail(error, [message])
        for target, group in by_target.items():
            self.accept(target, self.encoded(group))

    def accept(self, target: Hashable, taken: Sequence[bytes]) -> None:
        """Queue messages for a target: for a subclass that packs several into one."""
        if not taken:
            return
        hold = self.hold()
        count = self._buffer.add(taken, hold, monotonic(), target)
        if not count:
            hold.release()
        self._changed.set()
        if count < len(taken):
            self.drop(taken[count:], BUFFER_FULL)

    def held(self) -> int:
        """The number of messages that wait or are in flight."""
        return self._buffer.carried + sum(batch.count for batch in (*self._sending.values(), *self._left))

    def info(self) -> Mapping[str, Any]:
        """The state of its buffer and its peer."""
        return {
            **super().info(),
            "capacity": self.buffer_messages,
            "in_flight": len(self._sending) - self._resting,
            "retrying": self._resting,
            "state": "retrying: " + "; ".join(self.problems()) if self._obstacles else "sending",
        }

    def problems(self) -> list[str]:
        """The targets that accept nothing, and why."""
        return self._obstacles.described(MOST_PROBLEMS)

    async def drain(self) -> None:
        """Wait until there is room for another batch."""
        few = min(_NEXT, self.buffer_messages)
        until = math.inf if self.sources_wait else monotonic() + _PATIENCE
        while self._buffer and not self._buffer.has_room(few, self.buffer_bytes // 4):
            left = until - monotonic()
            if left <= 0 or self.stop_request.asked:
                return
            await wait_for_change(self._changed, min(left, 1.0))

    async def background(self) -> None:
        """Send what waits."""
        try:
            while True:
                while self._has_place() and (queue := self._due()):
                    batch = self._buffer.take(queue)
                    task = asyncio.create_task(self._send(batch), name=f"{self.label} batch")
                    self._sending[task] = batch
                    self._of[batch.target] += 1
                    task.add_done_callback(self._sent)
                await wait_for_change(self._changed, self._seconds_until_due())
        finally:
            sending = [*self._sending]
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            # A task that was cancelled has all that it used, such as a client with threads of its own.
            self._left += self._sending.values()
            self._sending.clear()

    async def flush(self) -> None:
        """Send everything that waits, for as long as something is accepted now and then."""
        self._flushing, self._moved_at = True, monotonic()
        self._changed.set()
        while self.held() and (left := self._moved_at + self.flush_timeout - monotonic()) > 0:
            await wait_for_change(self._changed, min(left, 1.0))

    def _has_place(self) -> bool:
        """Whether another request may be in flight."""
        return len(self._sending) - self._resting < self.in_flight

    def _may_have(self, target: Hashable) -> bool:
        return self._of[target] < self._each

    def _due(self) -> Queue | None:
        return self._buffer.due(0.0 if self._flushing else self.batch_age, monotonic(), self._may_have)

    def _seconds_until_due(self) -> float:
        if not self._has_place():
            return _LONG
        return min(_LONG, max(0.0, self._buffer.next_at(self._may_have) + self.batch_age - monotonic()))

    def _sent(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():  # a cancelled one is left at the end, and still buffered
            target = self._sending.pop(task).target
            self._of[target] -= 1
            if not self._of[target]:
                del self._of[target]
        self._changed.set()

    async def _send(self, batch: Batch) -> None:
        began, attempt = monotonic(), 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(self.timeout):
                    await self.send_batch(batch)
            except (
                RetryLater,
                OSError,
            ) as error:  # which may have a connection, and is released before the pause
                reason, after = self._reason(error), getattr(error, "after", 0.0)
            except Exception as error:  # noqa: BLE001 - any failure has one route
                self._give_up(batch, error, attempt)
                return
            else:
                self._obstacles.overcome(batch.target)
                self._moved_at = monotonic()
                batch.shares.settle_all(Outcome.DELIVERED)
                return
            pause = self._retries.pause(attempt, monotonic() - began, at_least=after)
            if pause is None:
                times = "attempt" if attempt == 1 else "attempts"
                self._give_up(batch, PeerError(f"not accepted after {attempt} {times}: {reason}"), attempt)
                return
            if text := self._obstacles.meet(batch.target, reason):
                self.report(PeerError(text))
            await self._rest(batch, pause)

    async def _rest(self, batch: Batch, pause: float) -> None:
        """Wait this long before a retry, and for a place among those in flight."""
        self._resting += 1
        self._buffer.reserve(batch)
        self._changed.set()
        try:
            await asyncio.sleep(pause)
            while not self._has_place():
                await wait_for_change(self._changed, _LONG)
        finally:
            self._buffer.free(batch)
            self._resting -= 1

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError) and not str(error):
            return f"no answer within {self.timeout:g} s"
        return str(error) or type(error).__name__

    def _give_up(self, batch: Batch, error: Exception, attempts: int) -> None:
        self.fail_some(batch, error, self.unsent_of(batch), attempts)
        self._moved_at = monotonic()
        batch.shares.settle_all(Outcome.DELIVERED)  # but for what has been noted

    def fail_some(self, batch: Batch, error: Exception, messages: Sequence[bytes], attempts: int = 1) -> None:
        """Fail messages of a batch, of which the rest may arrive; its `count` is then that of the rest."""
        with batch.shares.resumed():
            if self.dead_letters:
                self.dead_letter(error, messages, attempts=attempts)
            else:
                self.fail(error, messages)

    def on_close(self) -> None:
        """Pass what was not sent to the error chain, with `dead_letters`."""
        if self.dead_letters:
            left = [*self._sending.values(), *self._left, *self._buffer.take_all()]
            self._sending.clear()
            self._left.clear()
            for batch in left:
                self._give_up(batch, PeerError(addressed(batch.target, UNSENT)), 1)
