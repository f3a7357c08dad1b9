"""The input to which nothing happens."""

from __future__ import annotations

import asyncio

import pytest

from message_passing.inputs.null import NullInput
from message_passing.testing import capture, run_input


def test_emits_nothing_and_does_not_end() -> None:
    """It runs until it is stopped, and emits nothing."""
    component = NullInput()
    arrived = capture(component)
    with pytest.raises(TimeoutError):
        run_input(component, timeout=0.05)
    assert arrived.messages == []


def test_stops_when_cancelled() -> None:
    """It stops as soon as it is cancelled."""

    async def run_and_cancel() -> bool:
        task = asyncio.create_task(NullInput().run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(run_and_cancel())
