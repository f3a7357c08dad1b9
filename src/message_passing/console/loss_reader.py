"""Reading the ledger for the console's clients: one request at a time, in a thread, within a share of one core."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from message_passing.console.governor import Bucket
from message_passing.ledger.reading import read_losses

if TYPE_CHECKING:
    from pathlib import Path

    from message_passing.ledger.period import Period

LEDGER_SHARE, LEDGER_BURST = 0.02, 1.0
"""The share of one core that reading the ledger may take, and the seconds that it may take at once. All of one of
16 MiB takes half a second; a day of a node, a few milliseconds."""

LEDGER_PATIENCE = 2.0
"""Seconds that a request waits for its turn."""


class LossReader:
    """Reads for all clients."""

    def __init__(self) -> None:
        """Prepare; nothing has been read yet."""
        self._turn = asyncio.Lock()
        self._bucket = Bucket(LEDGER_SHARE, LEDGER_BURST)

    async def read(self, path: Path, asked: Period, node: str) -> dict[str, Any]:
        """See `read_losses`.

        Raises:
            TimeoutError: other requests have used up the time.
            OpenError: it cannot be read.
        """
        async with asyncio.timeout(LEDGER_PATIENCE):
            await self._turn.acquire()
            try:
                await asyncio.sleep(self._bucket.time_for(max(0.0, -self._bucket.level())))
            except BaseException:
                self._turn.release()
                raise
        try:
            found, took = await asyncio.to_thread(_timed, path, asked, node)
            self._bucket.spend(took)
            return found
        finally:
            self._turn.release()


def _timed(path: Path, asked: Period, node: str) -> tuple[dict[str, Any], float]:
    began = time.thread_time()
    found = read_losses(path, asked, node)
    return found, time.thread_time() - began
