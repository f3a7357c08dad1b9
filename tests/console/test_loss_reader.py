"""Asking for losses takes a bounded share of the machine, however many ask."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from message_passing.console import loss_reader
from message_passing.console.loss_reader import LossReader
from message_passing.errors import OpenError
from message_passing.ledger.database import LossLedger
from message_passing.ledger.period import Period

if TYPE_CHECKING:
    from pathlib import Path

ASKED = Period(0, 1e9)


def test_who_asks_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time, until all the time there is has been taken; an error leaves the way free for the next."""
    monkeypatch.setattr(loss_reader, "LEDGER_BURST", 0.05)
    monkeypatch.setattr(loss_reader, "LEDGER_PATIENCE", 0.3)
    path = tmp_path / "losses.sqlite"
    LossLedger(path, 1 << 20).check()
    took = 0.0

    def slow(*_: object) -> dict[str, object]:
        nonlocal took
        began = time.thread_time()
        while time.thread_time() - began < 0.03:
            pass
        took += 0.03
        return {}

    async def ask() -> list[object]:
        reader = LossReader()
        with pytest.raises(OpenError):
            await reader.read(tmp_path / "none", ASKED, "")
        empty = await reader.read(path, ASKED, "")
        assert empty["by_reason"] == []
        monkeypatch.setattr(loss_reader, "read_losses", slow)
        asking = (reader.read(path, ASKED, "") for _ in range(20))
        return list(await asyncio.gather(*asking, return_exceptions=True))

    answers = asyncio.run(ask())
    refused = [one for one in answers if isinstance(one, TimeoutError)]
    assert len(refused) > 10
    assert len(refused) + answers.count({}) == 20
    assert took < 0.2
