"""A network between two machines that is cut, loses packets, is slow, or has one of the machines move.

The machines are network namespaces. The network is a process that carries their packets (wire.py), since not every
kernel has netem.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from books import Life, balanced, stretches
from cable import NAME, THERE, cable
from faulty import FAULT_SECONDS, FOREVER, both_ended, ended, killed, receiving, sending, soon, told_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cable import Cable
    from faulty import Sending
    from nodes import Node

KINDS = pytest.mark.parametrize("kind", ["output", "handler"])
ANYWHERE = "tcp://*:5558"
PLACE = f"tcp://{THERE[0]}:5558"


@pytest.fixture
def wire() -> Iterator[Cable]:
    """Two machines with a cable."""
    with cable() as made:
        yield made


@KINDS
def test_the_cable_is_cut_and_mended(wire: Cable, kind: str, tmp_path: Path) -> None:
    """The sender goes on at its pace meanwhile, and then everything arrives, if the connection has stood it."""
    life = Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=ANYWHERE, prefix=wire.there) as receiver,
        sending(tmp_path / "journal", kind, connect=PLACE, socket_hwm=FOREVER, prefix=wire.here) as sender,
    ):
        sender.flow()
        soon(lambda: life.total() > 500)
        wire.tell("cut")
        time.sleep(FAULT_SECONDS)
        stamped, arrived = sender.now().stamped, life.total()
        assert stamped > arrived + 100
        wire.tell("mend")
        soon(lambda: life.total() > stamped)
        sent, told = both_ended(sender, receiver, life)
    (account,) = balanced([sent], [life]).values()
    assert not account.dropped
    assert told_missing(told) == account.in_flight
    # A peer that is not heard of is given up some day; then what the system had taken for it is one lost stretch.
    assert len(stretches(account.missing)) <= (FAULT_SECONDS > 10)


def test_the_cable_is_cut_for_longer_than_the_queue_is_long(wire: Cable, tmp_path: Path) -> None:
    """What has no room is dropped and counted, to the message, and the gap that is seen on the other side is it."""
    life = Life(tmp_path / "arrived")
    with (
        receiving(life, socket_bind=ANYWHERE, prefix=wire.there, heartbeat_ivl=0) as receiver,
        sending(
            tmp_path / "journal",
            text=4000,
            connect=PLACE,
            socket_hwm=100,
            prefix=wire.here,
            heartbeat_ivl=0,  # however long it takes, the connection stands
        ) as sender,
    ):
        sender.send(10)
        soon(lambda: life.has("", 10))
        wire.tell("cut")
        sender.send(5_000)
        time.sleep(FAULT_SECONDS)
        wire.tell("mend")
        soon(lambda: life.total() >= sender.now().passed)
        sender.send(10)
        sent, told = both_ended(sender, receiver, life)
    (account,) = balanced([sent], [life]).values()
    assert account.in_flight == 0
    assert account.dropped["queue full"] == told_missing(told) > 100


def test_the_other_machine_crashes_behind_the_cut(wire: Cable, tmp_path: Path) -> None:
    """Its connection stays half open here until a packet gets through; then the sender finds its successor."""
    first, second = Life(tmp_path / "first"), Life(tmp_path / "second")
    with sending(tmp_path / "journal", connect=PLACE, socket_hwm=FOREVER, prefix=wire.here) as sender:
        with receiving(first, socket_bind=ANYWHERE, prefix=wire.there) as receiver:
            sender.flow()
            soon(lambda: first.total() > 500)
            wire.tell("cut")
            killed(receiver, first)
        with receiving(second, socket_bind=ANYWHERE, prefix=wire.there) as receiver:
            time.sleep(FAULT_SECONDS)
            taken_over(wire, sender, receiver, [first, second])


def test_a_machine_that_is_gone_is_noticed(wire: Cable, tmp_path: Path) -> None:
    """Where nothing is sent the system asks; both sides let go, and find each other again."""
    life = Life(tmp_path / "arrived")
    asked: dict[str, Any] = {"heartbeat_ivl": 1000, "heartbeat_timeout": 1000}
    with (
        receiving(life, socket_bind=ANYWHERE, prefix=wire.there, **asked) as receiver,
        sending(tmp_path / "journal", connect=PLACE, prefix=wire.here, **asked) as sender,
    ):
        sender.send(10)
        soon(lambda: life.has("", 10))
        both = (receiver.process.pid, sender.process.pid)
        assert [connections(one) for one in both] == [1, 1]
        soon(lambda: not any(unanswered(one) for one in both))  # or TCP would repeat that, and not ask
        wire.tell("cut")
        soon(lambda: [connections(one) for one in both] == [0, 0])
        wire.tell("mend")
        sender.send(10)
        soon(lambda: life.has("", 20))
        sent = sender.end()
        assert ended(receiver) == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


def test_a_machine_is_gone_while_something_is_on_its_way_to_it(wire: Cable, tmp_path: Path) -> None:
    """The sender gives up after `tcp_maxrt`, long before the system would, and looks for the name's new address."""
    first, second = Life(tmp_path / "first"), Life(tmp_path / "second")
    old, new = (f"tcp://{address}:5558" for address in THERE)
    with sending(
        tmp_path / "journal",
        connect=f"tcp://{NAME}:5558",
        socket_hwm=FOREVER,
        tcp_maxrt=1000,
        prefix=wire.here,
    ) as sender:
        with receiving(first, socket_bind=old, prefix=wire.there) as receiver:
            sender.flow()
            soon(lambda: first.total() > 500)
            wire.tell("cut")
            wire.name(THERE[1])
            soon(lambda: connections(sender.process.pid) == 0)
            killed(receiver, first)
        with receiving(second, socket_bind=new, prefix=wire.there) as receiver:
            taken_over(wire, sender, receiver, [first, second])


def taken_over(wire: Cable, sender: Sending, receiver: Node, lives: list[Life]) -> None:
    """Once the cable is mended the successor gets everything but one stretch, what was on its way to the dead one."""
    wire.tell("mend")
    soon(lambda: lives[-1].total() > 500)
    sent, told = both_ended(sender, receiver, lives[-1])
    assert told == []
    (account,) = balanced([sent], lives).values()
    assert not account.dropped
    assert len(stretches(account.missing)) <= 1


def connections(process_id: int) -> int:
    """How many there are on the machine of a process."""
    return len(_established(process_id))


def unanswered(process_id: int) -> int:
    """How many bytes TCP has sent there, or is to send, that the other side has not acknowledged."""
    return sum(int(row[4].partition(":")[0], 16) for row in _established(process_id))


def _established(process_id: int) -> list[list[str]]:
    """Their rows (proc_net_tcp(5))."""
    rows = [row.split() for row in Path(f"/proc/{process_id}/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[3] == "01"]


@pytest.mark.parametrize("fault", ["loss 0.1", "delay 0.2"])
def test_a_bad_line(wire: Cable, fault: str, tmp_path: Path) -> None:
    """One packet in ten is lost, or each takes 200 ms: everything arrives, from the first message on, only later."""
    life = Life(tmp_path / "arrived")
    wire.tell(fault)
    with (
        receiving(life, socket_bind=ANYWHERE, prefix=wire.there) as receiver,
        sending(tmp_path / "journal", connect=PLACE, linger=30_000, prefix=wire.here) as sender,
    ):
        for _ in range(3):
            before, began = life.total(), time.monotonic()
            sender.send(1000)
            soon(lambda before=before: life.total() == before + 1000)
            took = time.monotonic() - began
            assert took > 0.2 or "loss" in fault
        assert wire.lost() > 10 or "delay" in fault
        sent = sender.end()
        assert ended(receiver) == []
    (account,) = balanced([sent], [life]).values()
    assert account.missing == set()


@KINDS
def test_the_receiver_comes_back_at_another_address(wire: Cable, kind: str, tmp_path: Path) -> None:
    """A sender that connects to a name asks for it again, and finds the receiver where it is now."""
    first, second = Life(tmp_path / "first"), Life(tmp_path / "second")
    with sending(
        tmp_path / "journal", kind, connect=f"tcp://{NAME}:5558", socket_hwm=FOREVER, prefix=wire.here
    ) as sender:
        with receiving(first, socket_bind=f"tcp://{THERE[0]}:5558", prefix=wire.there) as receiver:
            sender.flow()
            soon(lambda: first.total() > 500)
            killed(receiver, first)
        wire.name(THERE[1])
        with receiving(second, socket_bind=f"tcp://{THERE[1]}:5558", prefix=wire.there) as receiver:
            soon(lambda: second.total() > 500)
            sent, told = both_ended(sender, receiver, second)
            assert told == []
    (account,) = balanced([sent], [first, second]).values()
    assert not account.dropped
    assert len(stretches(account.missing)) <= 1
