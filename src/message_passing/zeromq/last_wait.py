"""Waiting for receivers that are still accepting messages, after a chain has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from message_passing.clock import monotonic

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from message_passing.stopping import StopRequest
    from message_passing.zeromq.sending import Sender

LAST_PATIENCE = 5.0
"""Seconds without progress, or `linger` if that is longer, after which the wait for receivers ends."""

_LOOK_INTERVAL = 0.02


async def until_taken(
    senders: Sequence[Sender], lock: threading.RLock, linger: float, stop_request: StopRequest
) -> None:
    """Wait for as long as receivers keep accepting messages.

    Args:
        senders: the senders. They get no more messages.
        lock: the lock that all their users take.
        linger: the option, in seconds.
        stop_request: once a stop is requested, the wait ends.
    """
    before, moved_at = None, monotonic()
    while not stop_request.asked:
        with lock:
            now = [sender.under_way() for sender in senders]
        if now != before:
            before, moved_at = now, monotonic()
        if not any(one is not None for one in now) or monotonic() - moved_at >= max(LAST_PATIENCE, linger):
            return
        await asyncio.sleep(_LOOK_INTERVAL)
