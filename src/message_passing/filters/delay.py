"""Delay messages (Message::Passing::Filter::Delay)."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessageError, OutputClosedError
from message_passing.filters._buffering import BufferingFilter
from message_passing.options import option

if TYPE_CHECKING:
    from message_passing.delivery import Hold


class DelayFilter(BufferingFilter):
    """Passes every message on unchanged, `delay_for` seconds after it arrived, in the same order.

    For tests, and for letting something else happen first. What arrives within that time is buffered in memory, up to
    `buffer_messages` and `buffer_bytes`: then inputs wait for room, and what does not fit is dropped and counted
    (`buffer full`). What is still buffered when the chain ends is passed on at once.

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
        self._held: deque[tuple[list[Any], int, Hold, asyncio.TimerHandle]] = deque()

    def write_many(self, messages: list[Any]) -> None:
        """Buffer a batch, as far as there is room, with one timer.

        Raises:
            MessageError: no event loop is running in this thread.
            OutputClosedError: when the last batch was passed on, there was no reader any more.
        """
        self.raise_gone()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise MessageError(
                "there is no running asyncio event loop to time the delay with: run the chain in one, "
                "or leave the Delay filter out"
            ) from error
        messages, size = self.keep_what_fits(messages, self.kept)
        if messages:
            timer = loop.call_later(self.delay_for, self._time_is_up)
            self._held.append((messages, size, self.hold(), timer))

    async def drain(self) -> None:
        """Wait until there is room again, here and downstream.

        Raises:
            OutputClosedError: when the last batch was passed on, there was no reader any more.
        """
        await self.wait_for_room(1)
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
            self._held[0][3].cancel()
            self._time_is_up()

    def _time_is_up(self) -> None:
        # The oldest batch is the one that is due: timers of one delay end in the order that they were set,
        # and where the loop's clock is too coarse to tell two apart, taking the oldest keeps the order.
        messages, size, hold, _ = self._held.popleft()
        self.kept.give_back(len(messages), size)
        self.changed.set()
        try:
            with hold.resumed(last=True):
                self.emit(messages)
        except OutputClosedError as error:
            self.note_gone(error)
