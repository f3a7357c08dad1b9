"""A flood beyond capacity: memory stays flat, signals and questions are obeyed, and it ends within its bound."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from books import Life, balanced
from faulty import FAULT_SECONDS, local, receiving, resident, sending, soon, told_missing
from message_passing.console.client import NodeClient
from message_passing.testing import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from faulty import Sending

MINE = '''
import time
from message_passing import Filter

class Slow(Filter):
    """Takes a moment for each."""
    def filter(self, message):
        time.sleep(0.001)
        return message
'''

BOUND = 8.0
"""Seconds that an end may take: three times `linger` of a second, and a busy machine."""


PATIENCE = 2.0
"""Seconds that an answer may take, on a busy machine."""


def pour(sender: Sending, seconds: float, control: NodeClient) -> None:
    """Send as fast as it goes for so long; all the while, the receiver answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sender.send(2000)
        asked = time.monotonic()
        assert control.get("/state")["ready"]
        assert time.monotonic() - asked < PATIENCE


@pytest.mark.parametrize("kind", ["output", "handler"])
def test_a_flood_beyond_capacity(kind: str, tmp_path: Path) -> None:
    """A receiver of a thousand messages a second is sent all that goes: what is too much is dropped and counted."""
    port, old, new = free_port(), tmp_path / "old", tmp_path / "arrived"
    (tmp_path / "mine.py").write_text(MINE)
    life, control = Life(new), NodeClient(str(tmp_path / "control"))
    words = ("--filter", "+mine:Slow", "--control", str(tmp_path / "control"))
    with (
        receiving(life, *words, socket_bind=local(port), socket_hwm=1000, cwd=tmp_path) as receiver,
        sending(
            tmp_path / "journal", kind, text=1000, connect=local(port), socket_hwm=1000, linger=1000
        ) as sender,
    ):
        sender.send(100)
        soon(lambda: life.has("", 100))
        pour(sender, FAULT_SECONDS / 2, control)
        processes = receiver.process.pid, sender.process.pid
        readings = [resident(process_id) for process_id in processes]
        pour(sender, FAULT_SECONDS / 2, control)
        new.rename(old)
        receiver.signal(signal.SIGHUP)
        soon(new.exists)
        for process_id, before in zip(processes, readings, strict=True):
            assert resident(process_id) < before + 20
        pour(sender, 0.1, control)
        began = time.monotonic()
        receiver.signal(signal.SIGTERM)
        assert receiver.process.wait(20) == 0
        took = time.monotonic() - began
        told = receiver.end()[2].decode().splitlines()
        sent = sender.end()
    assert took < BOUND
    assert sent.closing < BOUND
    (account,) = balanced([sent], [Life(old, new)]).values()
    assert account.dropped["queue full"] > 1000
    assert told_missing(told) == max(account.arrived) - len(account.arrived)
