"""Inputs, filters and outputs that the tests of all engines use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from message_passing.errors import MessagePassingError
from message_passing.flow import Filter, Input
from support import Kept

if TYPE_CHECKING:
    from message_passing.delivery import Outcome


def numbers(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Messages with a number each."""
    return [{"n": number} for number in range(start, start + count)]


def numbers_in(kept: Kept) -> list[int]:
    """Those that came."""
    return [message["n"] for message in kept.messages]


class Delivering(Input):
    """Delivers batches, and ends when all are settled.

    Attributes:
        between: called before each batch with its number.
        outcomes: what became of them.
    """

    batches: Any = ()
    between: Any = None

    async def run(self) -> None:
        """Deliver."""
        self.outcomes: list[Outcome] = []
        for number, batch in enumerate(self.batches):
            if self.between:
                await asyncio.to_thread(self.between, number)
            self.deliver(batch, self.outcomes.append)
            await self.drain()
        async with asyncio.timeout(60):
            while len(self.outcomes) < len(self.batches):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


class Holding(Kept):
    """Keeps messages without being done with them, until it is told."""

    def on_init(self) -> None:
        """Nothing is held."""
        super().on_init()
        self.waiting: list[Any] = []

    def write_many(self, messages: list[Any]) -> None:
        """Hold them."""
        super().write_many(messages)
        self.waiting.append(self.hold())

    def settle(self) -> bool:
        """Be done with all."""
        while self.waiting:
            self.waiting.pop().release()
        return True


class Losing(Filter):
    """Loses messages as long as `wants` says so of one."""

    wants: Any = None

    def filter(self, message: Any) -> Any:
        """Lose it, or not."""
        if self.wants(message):
            raise MessagePassingError("it was lost")
        return message
