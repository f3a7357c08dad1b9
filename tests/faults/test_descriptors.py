"""Processes that may open no file, pipe or connection any more, and then may again (ulimit -n)."""

from __future__ import annotations

import json
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from books import Life, balanced
from faulty import (
    FAULT_SECONDS,
    FOREVER,
    both_ended,
    connected_to,
    ended,
    killed,
    local,
    receiving,
    reports,
    sending,
    soon,
    without_descriptors,
)
from message_passing.testing import free_port, wait_for
from nodes import part, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path


def test_the_receiver_has_no_descriptors_left(tmp_path: Path) -> None:
    """Who is connected is served, SIGHUP keeps the old file, and who came meanwhile is let in afterwards."""
    port, errors, old, new = free_port(), tmp_path / "errors", tmp_path / "old", tmp_path / "arrived"
    life = Life(new)
    words = part("error", "File", filename=str(errors))
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(life, *words, socket_bind=local(port)))
        sender = stack.enter_context(sending(tmp_path / "journal", connect=local(port)))
        sender.flow()
        soon(lambda: life.total() > 500)
        with without_descriptors(receiver.process.pid):
            late = stack.enter_context(sending(tmp_path / "late", connect=local(port)))
            late.send(1000)
            new.rename(old)
            receiver.signal(signal.SIGHUP)
            soon(lambda: reports(errors))
            kept = Life(old)
            before = kept.total()
            soon(lambda: kept.total() > before + 500)
            assert len(kept.numbers) == 1
        receiver.signal(signal.SIGHUP)
        begun = Life(new)
        soon(lambda: begun.total() > 500)
        sent = [sender.end(), late.end()]
        soon(lambda: all(begun.has(one.name, one.stamped) for one in sent))
        told = [json.loads(line) for line in ended(receiver)]
    accounts = balanced(sent, [Life(old, new)])
    assert not any(account.missing for account in accounts.values())
    # The error chain's file could not be opened again either, which is told where nothing need be opened.
    for (report,) in (reports(errors), told):
        assert "Too many open files" in report["exception"]


@pytest.mark.parametrize("kind", ["output", "handler"])
def test_the_sender_has_no_descriptors_left(kind: str, tmp_path: Path) -> None:
    """It cannot connect again while that lasts, holds what it has, and sends it afterwards by itself."""
    port, first, second = free_port(), Life(tmp_path / "first"), Life(tmp_path / "second")
    with (
        sending(tmp_path / "journal", kind, connect=local(port), socket_hwm=FOREVER) as sender,
        ExitStack() as stack,
    ):
        with receiving(first, socket_bind=local(port)) as receiver:
            sender.send(500)
            soon(lambda: first.has("", 500))
            killed(receiver, first)
        # What the sender still had of the old connection would do for a new one.
        wait_for(lambda: not connected_to(port), timeout=20)
        with without_descriptors(sender.process.pid):
            receiver = stack.enter_context(receiving(second, socket_bind=local(port)))
            sender.flow()
            wait_for_port(port)
            time.sleep(FAULT_SECONDS)
            assert second.total() == 0
        soon(lambda: second.total() > 1000)
        sent, told = both_ended(sender, receiver, second)
        assert told == []
    (account,) = balanced([sent], [first, second]).values()
    assert account.missing == set()


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("output", 0),
        ("handler", 0),
        ("handler", 3),
    ],
)
def test_the_first_message_finds_no_descriptors_left(kind: str, left: int, tmp_path: Path) -> None:
    """The program lives, and what it sends then is held, counted once, and arrives when somebody listens."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with sending(tmp_path / "journal", kind, connect=local(port)) as sender:
        sender.rest()  # it has started
        with without_descriptors(sender.process.pid, left):
            sender.send(100)
            time.sleep(0.1)  # a log record is sent by a thread
        with receiving(life, socket_bind=local(port)) as receiver:
            sender.send(100)
            soon(lambda: life.has("", 200))
            sent = sender.end()
            assert ended(receiver) == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()
    assert sent.failed == 0
