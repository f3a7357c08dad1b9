"""Waiting for receivers that are still taking what was sent to them, once a chain has come to its end."""

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
"""Seconds, or `linger` if that is longer, in which nothing moves until receivers are waited for no more."""

_LOOK_INTERVAL = 0.02


async def until_taken(
    senders: Sequence[Sender], lock: threading.RLock, linger: float, stop_request: StopRequest
) -> None:
    """Wait for as long as receivers take something.

    Args:
        senders: whose. Nothing more will be given to them.
        lock: the one that all their users take.
        linger: the option, in seconds.
        stop_request: once somebody asks for the end, nothing is waited for.
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
