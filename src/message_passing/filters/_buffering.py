"""The base of filters that keep messages: bounded in number and in bytes, with room that inputs wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from message_passing.flow import Filter
from message_passing.occupancy import Occupancy
from message_passing.options import option
from message_passing.output import wait_for_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_passing.errors import OutputClosedError

POLL = 1.0
"""Seconds after which one that waits for a change looks again, at the latest."""


class BufferingFilter(Filter):
    """Keeps what `keep_what_fits` has room for. Give it back to `kept`, and set `changed`."""

    buffer_messages: int = option(
        default=10_000, ge=1, description="The most messages that are kept at a time."
    )
    buffer_bytes: int = option(
        default=256 << 20,
        ge=1,
        description="The most bytes of them, as JSON where they are objects, which take several times as much "
        "memory. A single message may have more.",
    )

    def on_init(self) -> None:
        """Nothing is kept."""
        super().on_init()
        self.kept = Occupancy(self.buffer_messages, self.buffer_bytes)
        self.changed = asyncio.Event()
        self._gone: OutputClosedError | None = None  # raised to whoever feeds this

    def held(self) -> int:
        """How many messages are kept."""
        return self.kept.count

    def info(self) -> Mapping[str, Any]:
        """Its bound."""
        return {**super().info(), "capacity": self.buffer_messages}

    def note_gone(self, error: OutputClosedError) -> None:
        """Nobody reads any more what is passed on: it is told to whoever feeds this, since the loop cannot use it."""
        self._gone = error
        self.changed.set()

    def raise_gone(self) -> None:
        """Tell whoever feeds this.

        Raises:
            OutputClosedError: nobody reads any more what this passes on.
        """
        if self._gone:
            raise self._gone

    async def wait_for_room(self, share: float) -> None:
        """Wait until less than this share of a bound is taken, if inputs can wait.

        Raises:
            OutputClosedError: nobody reads any more what this passes on.
        """
        self.raise_gone()
        while self.kept.reaches(share) and self.sources_wait and not self.stop_request.asked:
            await wait_for_change(self.changed, POLL)
            self.raise_gone()
