"""Processes that are killed or stand still while messages flow, and that come back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from books import Life, balanced, stretches
from faulty import (
    FAULT_SECONDS,
    FOREVER,
    both_ended,
    ended,
    frozen,
    killed,
    local,
    receiving,
    sending,
    soon,
    told_lost,
    told_missing,
)
from message_passing.testing import free_port
from nodes import node, part

if TYPE_CHECKING:
    from faulty import Sending
    from nodes import Node

KINDS = pytest.mark.parametrize("kind", ["output", "handler"])


@KINDS
def test_the_receiver_is_killed_while_loaded(kind: str, tmp_path: Path) -> None:
    """Its successor gets everything but one stretch, what the dead one had taken and not written."""
    port, first, second = free_port(), Life(tmp_path / "first"), Life(tmp_path / "second")
    with sending(tmp_path / "journal", kind, connect=local(port)) as sender:
        with receiving(first, socket_bind=local(port)) as receiver:
            sender.flow()
            soon(lambda: first.total() > 1000)
            killed(receiver, first)
        with receiving(second, socket_bind=local(port)) as receiver:
            soon(lambda: second.total() > 1000)
            sent, told = both_ended(sender, receiver, second)
    (account,) = balanced([sent], [first, second]).values()
    assert not account.dropped
    assert len(stretches(account.missing)) <= 1
    assert told_missing(told) == 0  # to the second one these came before its time


@KINDS
def test_a_receiver_stays_away_longer_than_the_queue_is_long(kind: str, tmp_path: Path) -> None:
    """What does not fit is dropped and counted; what does fit arrives when the receiver is back."""
    port, first, second = free_port(), Life(tmp_path / "first"), Life(tmp_path / "second")
    with sending(tmp_path / "journal", kind, connect=local(port), socket_hwm=500) as sender:
        with receiving(first, socket_bind=local(port)) as receiver:
            sender.send(100)
            soon(lambda: first.has("", 100))
            killed(receiver, first)
        sender.send(20_000)
        with receiving(second, socket_bind=local(port)) as receiver:
            soon(lambda: second.total() > 0)
            soon(lambda: first.total() + second.total() == quiet(sender))
            sender.send(10)
            sent, told = both_ended(sender, receiver, second)
    (account,) = balanced([sent], [first, second]).values()
    assert set(account.dropped) == {"queue full"}
    assert account.dropped["queue full"] > 15_000
    assert told_missing(told) == sent.stamped - 100 - second.total()


def quiet(sender: Sending) -> int:
    """How many messages it has handed on, once it holds none: its journal is of its last message."""
    sender.send(0)
    now = sender.now()
    return now.passed if not now.held else -1


@KINDS
def test_a_sender_ends_while_its_receiver_comes_back(kind: str, tmp_path: Path) -> None:
    """All that it had sent meanwhile arrives: it waits until the receiver has subscribed again."""
    port, first, second = free_port(), Life(tmp_path / "first"), Life(tmp_path / "second")
    with sending(tmp_path / "journal", kind, connect=local(port)) as sender:
        with receiving(first, socket_bind=local(port)) as receiver:
            sender.send(100)
            soon(lambda: first.has("", 100))
            killed(receiver, first)
        sender.send(4000)
        with receiving(second, socket_bind=local(port)) as receiver:
            sent = sender.end()
            soon(lambda: second.has("", sent.stamped))
            told = ended(receiver)
    (account,) = balanced([sent], [first, second]).values()
    assert account.missing == set()
    assert sent.closing < 20
    assert told == []


def test_the_sender_is_killed(tmp_path: Path) -> None:
    """Of its messages the last ones are missing, none before them; the receiver works on for another sender."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with receiving(life, socket_bind=local(port)) as receiver:
        with sending(tmp_path / "first", connect=local(port)) as sender:
            sender.flow()
            soon(lambda: life.total() > 1000)
            dead = sender.kill()
        with sending(tmp_path / "second", connect=local(port)) as sender:
            sender.send(1000)
            sent = sender.end()
        soon(lambda: life.has(sent.name, 1000))
        told = ended(receiver)
    accounts = balanced([dead, sent], [life])
    assert accounts[dead.name].missing == set()
    assert accounts[sent.name].arrived == set(range(1, 1001))
    assert told == []


@KINDS
def test_the_receiver_stands_still(kind: str, tmp_path: Path) -> None:
    """Stopped and continued, it has missed nothing that a queue had room for, and the sender has not waited."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=local(port), socket_hwm=0) as receiver,
        sending(tmp_path / "journal", kind, connect=local(port), socket_hwm=FOREVER) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 500)
        with frozen(receiver.process.pid):
            before = sender.now().stamped
            time.sleep(FAULT_SECONDS)
            assert sender.now().stamped > before + 100
        sent, told = both_ended(sender, receiver, life)
        assert told == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


def test_the_receiver_stands_still_and_the_queue_is_short(tmp_path: Path) -> None:
    """What has no room is dropped and counted, to the message; the rest and what comes afterwards arrive."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", text=4000, connect=local(port), socket_hwm=100) as sender,
    ):
        sender.send(10)
        soon(lambda: life.has("", 10))
        with frozen(receiver.process.pid):
            sender.send(10_000)  # more than all the buffers of a connection take
            time.sleep(FAULT_SECONDS)
        soon(lambda: life.total() >= sender.now().passed)
        sender.send(10)
        sent, told = both_ended(sender, receiver, life)
    (account,) = balanced([sent], [life]).values()
    assert account.in_flight == 0
    assert account.dropped["queue full"] > 100
    assert told_missing(told) == account.dropped["queue full"]


@KINDS
def test_the_sender_stands_still(kind: str, tmp_path: Path) -> None:
    """Stopped and continued, it goes on where it was."""
    port, life = free_port(), Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=local(port)) as receiver,
        sending(tmp_path / "journal", kind, connect=local(port)) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 500)
        with frozen(sender.process.pid):
            time.sleep(FAULT_SECONDS)
            before = life.total()
        soon(lambda: life.total() > before + 500)
        sent, told = both_ended(sender, receiver, life)
        assert told == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


def children(started: Node) -> list[int]:
    """The processes that a node has started."""
    process_id = started.process.pid
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(word) for word in text.split()]


def test_a_worker_is_killed(tmp_path: Path) -> None:
    """Another takes its place, and what is missing in the end is the number that the command says it lost in it."""
    jobs, results, life = free_port(), free_port(), Life(tmp_path / "arrived")
    words = [
        *part("input", "ZeroMQ", socket_bind=local(jobs)),
        *part("output", "ZeroMQ", socket_type="PUSH", connect=local(results), linger=10_000),
    ]
    with (
        receiving(life, socket_type="PULL", socket_bind=local(results)) as receiver,
        node(*words, "--workers", "2") as pool,
        sending(tmp_path / "journal", connect=local(jobs)) as sender,
    ):
        sender.flow()
        gone: list[int] = []
        for _ in range(3):
            before = life.total()
            soon(lambda before=before: life.total() > before + 500)
            gone.append(soon(lambda: next((one for one in children(pool) if one not in gone), 0)))
            os.kill(gone[-1], signal.SIGKILL)
        soon(lambda: len(set(children(pool)) - set(gone)) == 2)
        before = life.total()
        soon(lambda: life.total() > before + 500)
        sent = sender.end()
        lost_or_here(life, sent.stamped)
        told = ended(pool)
        lost = told_lost(told, "workers")
        soon(lambda: life.total() + lost == sent.passed)
        ended(receiver)
    (account,) = balanced([sent], [life], in_order=False).values()
    assert not account.dropped
    assert account.in_flight == lost
    assert sum("it is restarted" in line for line in told) == 3, told


def lost_or_here(life: Life, count: int) -> None:
    """Wait until the last message is there, or one of the last, since a worker that dies may have had it."""
    soon(lambda: any(life.has("", number) for number in range(max(1, count - 20), count + 1)))


def distributor(jobs: int, work: int) -> list[str]:
    """The words for a distributor between these two ports."""
    return [
        *part("input", "ZeroMQ", socket_bind=local(jobs)),
        *part("output", "ZeroMQ", socket_type="PUSH", socket_bind=local(work)),
    ]


def test_the_distributor_is_killed_and_restarted(tmp_path: Path) -> None:
    """Both sides find the new one by themselves; what the dead one had in hand is the only loss, and is seen."""
    jobs, work, life = free_port(), free_port(), Life(tmp_path / "arrived")
    with (
        receiving(life, socket_type="PULL", connect=local(work)) as receiver,
        sending(tmp_path / "journal", connect=local(jobs)) as sender,
    ):
        with node(*distributor(jobs, work)) as started:
            sender.flow()
            soon(lambda: life.total() > 1000)
            killed(started)
        before = life.total()
        with node(*distributor(jobs, work)) as started:
            soon(lambda: life.total() > before + 1000)
            sent = sender.end()
            soon(lambda: life.has(sent.name, sent.stamped))
            assert ended(started) == []
        told = ended(receiver)
    (account,) = balanced([sent], [life]).values()
    assert not account.dropped
    assert len(stretches(account.missing)) <= 1
    assert told_missing(told) == account.in_flight
