"""An input that emits nothing (Message::Passing::Input::Null)."""

from __future__ import annotations

import asyncio

from message_passing.flow import Input


class NullInput(Input):
    """Emits nothing, and runs until it is stopped: for trying out the rest of a chain."""

    name = "Null"

    async def run(self) -> None:
        """Wait to be cancelled."""
        await asyncio.get_running_loop().create_future()
