"""Delay messages (Message::Passing::Filter::Delay)."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError, OutputClosedError
from message_passing.flow import Filter
from message_passing.options import option
from message_passing.output import wait_for_change

if TYPE_CHECKING:
    from message_passing.delivery import Hold

_POLL = 1.0
"""Seconds after which one that waits for room looks again, at the latest."""


class DelayFilter(Filter):
    """Passes every message on unchanged, `delay_for` seconds after it arrived, in the same order.

    For tests, and for letting something else happen first. What arrives within that time is buffered in memory, up to
    `buffer_messages`: then inputs wait for room, and what does not fit is dropped and counted (`buffer full`). What
    is still buffered when the chain ends is passed on at once.

    It needs a running asyncio event loop, which every chain that is run by `message-passing` has.
    """

    name = "Delay"
    transparent = True
    example = MappingProxyType({"delay_for": 0.5})

    delay_for: float = option(description="How long to hold each message, in seconds.", ge=0)
    buffer_messages: int = option(
        default=100_000, ge=1, description="The most messages that are buffered at a time."
    )

    def on_init(self) -> None:
        """Start with an empty buffer."""
        super().on_init()
        self._held: deque[tuple[list[Any], Hold, asyncio.TimerHandle]] = deque()
        self._count = 0
        self._passed_on = asyncio.Event()
        self._gone: OutputClosedError | None = None

    def write_many(self, messages: list[Any]) -> None:
        """Buffer a batch, as far as there is room, with one timer.

        Raises:
            MessageError: no event loop is running in this thread.
            OutputClosedError: when the last batch was passed on, there was no reader any more.
        """
        if self._gone:
            raise self._gone
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise MessageError(
                "there is no running asyncio event loop to time the delay with: run the chain in one, "
                "or leave the Delay filter out"
            ) from error
        messages = self.keep_what_fits(messages, self._count, self.buffer_messages)
        if not messages:
            return
        self._count += len(messages)
        self._held.append((messages, self.hold(), loop.call_later(self.delay_for, self._time_is_up)))

    def held(self) -> int:
        """How many messages are buffered."""
        return self._count

    async def drain(self) -> None:
        """Wait until there is room again, here and downstream.

        Raises:
            OutputClosedError: when the last batch was passed on, there was no reader any more.
        """
        while self._count >= self.buffer_messages and self.sources_wait and not self.stop_request.asked:
            await wait_for_change(self._passed_on, _POLL)
        if self._gone:
            raise self._gone
        await super().drain()

    async def flush(self) -> None:
        """Pass on what is still buffered, at once."""
        self._pass_on()
        await super().drain()

    def on_close(self) -> None:
        """Pass on what is still buffered."""
        self._pass_on()

    def _pass_on(self) -> None:
        while self._held:
            self._held[0][2].cancel()
            self._time_is_up()

    def _time_is_up(self) -> None:
        # The oldest batch is the one that is due: timers of one delay end in the order that they were set,
        # and where the loop's clock is too coarse to tell two apart, taking the oldest keeps the order.
        messages, hold, _ = self._held.popleft()
        self._count -= len(messages)
        self._passed_on.set()
        try:
            with hold.resumed(last=True):
                self.emit(messages)
        except OutputClosedError as error:
            self._gone = error  # raised to our caller later, since the loop that called this cannot use it
