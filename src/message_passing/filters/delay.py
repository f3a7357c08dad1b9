"""Delay messages (Message::Passing::Filter::Delay)."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError, OutputClosedError
from message_passing.flow import Filter
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.delivery import Hold


class DelayFilter(Filter):
    """Passes every message on unchanged, `delay_for` seconds after it arrived, in the same order.

    For tests, and for letting something else happen first. Everything that arrives within that time is buffered in
    memory. What is still buffered when the chain ends is passed on at once.

    It needs a running asyncio event loop, which every chain that is run by `message-passing` has.
    """

    name = "Delay"
    transparent = True
    example = MappingProxyType({"delay_for": 0.5})

    delay_for: float = option(description="How long to hold each message, in seconds.", ge=0)

    def on_init(self) -> None:
        """Start with an empty buffer."""
        super().on_init()
        self._held: deque[tuple[list[Any], Hold, asyncio.TimerHandle]] = deque()
        self._gone: OutputClosedError | None = None

    def write_many(self, messages: list[Any]) -> None:
        """Buffer a batch, with one timer.

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
        self._held.append((messages, self.hold(), loop.call_later(self.delay_for, self._time_is_up)))

    def held(self) -> int:
        """How many messages are buffered."""
        return sum(len(messages) for messages, *_ in self._held)

    async def drain(self) -> None:
        """Wait until what is downstream has room again; what is held here is not waited for.

        Raises:
            OutputClosedError: when the last batch was passed on, there was no reader any more.
        """
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
        try:
            with hold.resumed(last=True):
                self.emit(messages)
        except OutputClosedError as error:
            self._gone = error  # raised to our caller later, since the loop that called this cannot use it
