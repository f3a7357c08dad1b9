"""A clock that is set forward and back while messages flow.

It is the clock of one process, replaced inside it: see clock/sitecustomize.py.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from books import Life, balanced
from clocks import HOUR, Clock
from faulty import ended, local, receiving, sending, soon
from message_passing.testing import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["output", "handler"])
def test_the_clock_is_set_forward_and_back(kind: str, tmp_path: Path) -> None:
    """The sender's and the receiver's: messages flow on after every jump, and none is lost or comes late."""
    port, life, clock = free_port(), Life(tmp_path / "arrived"), Clock(tmp_path / "clock")
    with (
        receiving(life, socket_bind=local(port), env=clock.env) as receiver,
        sending(tmp_path / "journal", kind, connect=local(port), env=clock.env) as sender,
    ):
        sender.flow()
        for jump in (HOUR, -HOUR, 24 * HOUR, 0.0, -365 * 24 * HOUR):
            before = life.total()
            soon(lambda before=before: life.total() > before + 300)
            clock.set(jump)
        before = life.total()
        soon(lambda: life.total() > before + 300)
        sent = sender.end()
        soon(lambda: life.has(sent.name, sent.stamped))
        assert ended(receiver) == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()
    assert life.books
    year_ago = life.books["time"] + 365 * 24 * HOUR - life.paths[0].stat().st_mtime
    assert abs(year_ago) < 60, "the process did not see the clock that was set"


def test_a_record_after_a_jump_waits_for_nobody(tmp_path: Path) -> None:
    """One single record, logged when the clock has gone back an hour, arrives without a second one after it."""
    port, life, clock = free_port(), Life(tmp_path / "arrived"), Clock(tmp_path / "clock")
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", "handler", connect=local(port), env=clock.env) as sender,
    ):
        sender.send(1)
        soon(lambda: life.has("", 1))
        for number, jump in enumerate((-HOUR, HOUR, -2 * HOUR), 2):
            clock.set(jump)
            sender.send(1)
            soon(lambda number=number: life.has("", number))
        sent = sender.end()
        assert ended(receiver) == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()
    times = [json.loads(line)["time"] for line in life.paths[0].read_bytes().splitlines()[:4]]
    days = [dt.datetime.fromisoformat(text) for text in times]
    assert days[1] < days[0] < days[2]
    assert days[3] < days[1]
