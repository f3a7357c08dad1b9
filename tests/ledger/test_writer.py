"""Writing the ledger: bounded while it cannot be written, whatever the clock does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from message_passing.ledger import writer as module
from message_passing.ledger.period import Period
from message_passing.ledger.reading import read_losses
from message_passing.ledger.writer import LedgerWriter
from message_passing.loss_monitor import NOT_ARRIVED, Loss
from message_passing.testing import wait_for

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS = Period(0, 4_000_000_000)
FULL = Loss("out", "queue full")


def begun(path: Path, told: list[str]) -> LedgerWriter:
    """A writer of a ledger."""
    return LedgerWriter(path, node="node", days=30, max_bytes=1 << 20, pid=os.getpid(), tell=told.append)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes soon."""
    monkeypatch.setattr(module, "WRITE_INTERVAL", 0.02)


def test_what_cannot_be_written_waits_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders are not told apart beyond the bound, what is beyond it twice is counted, and it is said once."""
    monkeypatch.setattr(module, "MOST_PENDING", 10)
    path = tmp_path / "missing" / "losses.sqlite"
    told: list[str] = []
    writer = begun(path, told)
    wait_for(lambda: told, timeout=20)
    for number in range(30):
        writer.add({Loss("f", NOT_ARRIVED, f"sender {number}"): 1})
    for number in range(30):
        writer.add({Loss("f", f"reason {number}"): 1})
    assert writer.unwritten > 0
    unwritten = writer.unwritten
    path.parent.mkdir()
    wait_for(path.exists, timeout=20)
    writer.close()
    found = read_losses(path, ALWAYS)
    assert sum(one["count"] for one in found["by_reason"]) == 60 - unwritten
    assert "(other senders)" in [one["sender"] for one in found["by_sender"]]
    assert len(told) == 2
    assert "losses are kept in memory, and it is retried" in told[0]
    assert told[1].startswith(f"{unwritten} lost messages are not in the ledger")


def test_the_end_is_not_kept_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a disk that never answers; what is not written is told."""
    monkeypatch.setattr(module, "LAST_WRITE", 0.05)
    told: list[str] = []
    writer = begun(tmp_path / "missing" / "losses.sqlite", told)
    writer.add({FULL: 3})
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    assert told[-1].startswith("3 lost messages are not in the ledger")


def test_a_clock_that_jumps_makes_nothing_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than its days is forgotten hourly, unless the clock was set meanwhile."""
    wall, monotonic = [1_800_000_000.0], [0.0]
    monkeypatch.setattr(module, "wall", lambda: wall[0])
    monkeypatch.setattr(module, "monotonic", lambda: monotonic[0])
    pruning = module._Pruning(30)

    def after(seconds: float, set_by: float = 0.0) -> float:
        monotonic[0] += seconds
        wall[0] += seconds + set_by
        return pruning.due()

    assert after(3599) == 0
    assert after(1) == wall[0] - 30 * 86400
    assert after(1800, set_by=365 * 86400) == 0  # a year ahead
    assert after(1800) == 0
    assert after(10, set_by=-365 * 86400) == 0  # and back again
    assert after(3600) == wall[0] - 30 * 86400


def test_a_clock_that_is_set_back_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same minute comes twice, and has the losses of both."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(module, "wall", lambda: now[0])
    told: list[str] = []
    writer = begun(tmp_path / "losses.sqlite", told)
    for jump in (0, 3600, -3600):
        now[0] += jump
        writer.add({FULL: 1})
    writer.close()
    found = read_losses(tmp_path / "losses.sqlite", Period(1_799_999_000, 1_800_009_000))
    assert [one["lost"] for one in found["minutes"]] == [2, 1]
    assert not told
