"""Both ends of an acknowledged hop together, without I/O: any loss, duplicate, reordering and restart is survived."""

from __future__ import annotations

import copy
import itertools
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from message_passing.zeromq.hop import consumer as consumer_module
from message_passing.zeromq.hop.consumer import MOST_REMEMBERED, Consumer, Delivered, SenderMemory
from message_passing.zeromq.hop.delivery_state import MOST_REPLIES
from message_passing.zeromq.hop.frames import Ack, Data, Hello, Ping, ProtocolError, Ready, decode, in_ranges
from message_passing.zeromq.hop.producer import Producer

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_passing.zeromq.hop.frames import HopMessage

DEAD_AFTER = 10.0


@dataclass
class World:
    """A sender, a receiver, and a network that does to messages whatever it is told."""

    sender_greets: bool
    frames: int
    now: float = 0.0
    added: int = 0
    receivers: int = 0
    acknowledged: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)  # in any life of the receiver
    delivered: list[int] = field(default_factory=list)  # in this life
    working: list[Delivered] = field(default_factory=list)
    there: list[list[bytes]] = field(default_factory=list)
    back: list[list[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs = 1
        self.producer = Producer(self.run_id(), greets=self.sender_greets, dead_after=DEAD_AFTER)
        if self.sender_greets:
            self.producer.add_peer("link", self.now)
        self.start_receiver()

    def run_id(self) -> bytes:
        """The id of the sender's present run."""
        return b"sender %9d" % self.runs

    def start_receiver(self) -> None:
        """The receiver's process begins, or begins anew: all that it had in memory is gone."""
        self.receivers += 1
        receiver = self.receivers.to_bytes(16, "big")
        self.consumer = Consumer(
            receiver, greets=not self.sender_greets, frames=self.frames, size=1000, dead_after=DEAD_AFTER
        )
        if not self.sender_greets:
            self.consumer.add_peer("link", self.now)
        self.working.clear()
        self.delivered.clear()

    # What can happen

    def add(self) -> None:
        """The application has a frame."""
        self.added += 1
        assert self.producer.add(b"%d" % self.added, lines=False) == self.added

    def send(self) -> None:
        """The sender sends what it wants to."""
        while message := self.producer.next_message("link", self.now):
            self.producer.sent("link", message, self.now)
            self.there.append(message.encode())

    def answer(self) -> None:
        """The receiver sends what it wants to."""
        while message := self.consumer.next_message("link", self.now):
            self.consumer.sent("link", message, self.now)
            self.back.append(message.encode())

    def arrive_there(self, at: int = 0) -> None:
        """A message comes to the receiver: the first one, or a later one."""
        if at < len(self.there):
            frame = self.consumer.receive("link", decode(self.there.pop(at)), self.now)
            if frame:
                number = frame.data.sequence
                assert number not in self.delivered, "delivered twice by one receiver"
                assert frame.data.body == b"%d" % number
                self.delivered.append(number)
                self.working.append(frame)

    def arrive_back(self, at: int = 0) -> None:
        """A message comes to the sender."""
        if at < len(self.back):
            for entry in self.producer.receive("link", decode(self.back.pop(at)), self.now):
                assert entry.sequence in self.settled, "acknowledged and not settled"
                assert entry.sequence not in self.acknowledged, "acknowledged twice"
                self.acknowledged.add(entry.sequence)

    def settle(self, at: int = 0) -> None:
        """The receiver's chain is done with a frame."""
        if at < len(self.working):
            frame = self.working.pop(at)
            self.settled.add(frame.data.sequence)
            self.consumer.settle(frame)

    def lose_there(self) -> None:
        """The network loses a message."""
        del self.there[:1]

    def lose_back(self) -> None:
        """The network loses a message that comes back."""
        del self.back[:1]

    def disconnect(self) -> None:
        """All that was on its way is lost."""
        self.there.clear()
        self.back.clear()

    def duplicate(self) -> None:
        """The network repeats a message in each direction."""
        self.there += self.there[:1]
        self.back += self.back[:1]

    def later(self, seconds: float = 1.5) -> None:
        """Time goes by."""
        self.now += seconds
        self.producer.expire(self.now)
        self.consumer.expire(self.now)

    def much_later(self) -> None:
        """More time than a peer may be silent."""
        self.later(DEAD_AFTER)

    def restart_sender(self) -> None:
        """The sender's process begins anew, with what it had on disk: all that is not acknowledged, and its ids."""
        kept = list(self.producer.unsettled())
        first = kept[0].sequence if kept else self.added + 1
        self.runs += 1
        self.producer = Producer(self.run_id(), greets=self.sender_greets, dead_after=DEAD_AFTER, first=first)
        for entry in kept:  # whatever has been acknowledged in between is sent no more
            self.producer.restore(entry.sequence, entry.body, lines=False, sender=entry.sender)
        if self.sender_greets:
            self.producer.add_peer("link", self.now)

    # What must hold

    def recover(self) -> None:
        """From now on the network is a good one: everything arrives, and is acknowledged, before long."""
        for _ in range(60):
            self.send()
            while self.there:
                self.arrive_there()
            while self.working:
                self.settle()
            self.answer()
            while self.back:
                self.arrive_back()
            if len(self.acknowledged) == self.added and not self.producer:
                return
            self.later(1.0)
        pytest.fail(f"{self.added - len(self.acknowledged)} frames are not acknowledged, for ever")


ACTIONS: dict[str, Callable[[World], None]] = {
    "add": World.add,
    "send": World.send,
    "answer": World.answer,
    "arrive": World.arrive_there,
    "arrive second": lambda world: world.arrive_there(1),
    "come back": World.arrive_back,
    "come back second": lambda world: world.arrive_back(1),
    "settle": World.settle,
    "settle second": lambda world: world.settle(1),
    "lose": World.lose_there,
    "lose answer": World.lose_back,
    "disconnect": World.disconnect,
    "duplicate": World.duplicate,
    "later": World.later,
    "much later": World.much_later,
    "restart receiver": World.start_receiver,
    "restart sender": World.restart_sender,
}

SOUND = ["add", "send", "arrive", "settle", "answer", "come back"]


@pytest.mark.parametrize("sender_greets", [True, False], ids=["sender greets", "receiver greets"])
def test_every_short_run(sender_greets: bool) -> None:
    """Every sequence of three things that can happen, after a good run, and in the middle of one."""
    start = World(sender_greets, frames=2)
    moments = [copy.deepcopy(start)]
    for _ in range(4):
        for name in SOUND:
            ACTIONS[name](start)
        moments.append(copy.deepcopy(start))
    start.add()
    start.add()
    start.add()
    start.send()
    moments[1] = copy.deepcopy(start)
    for moment in moments[1::4]:
        for names in itertools.permutations(ACTIONS, 3):
            world = copy.deepcopy(moment)
            for name in names:
                ACTIONS[name](world)
            world.recover()


@pytest.mark.parametrize("sender_greets", [True, False], ids=["sender greets", "receiver greets"])
@pytest.mark.parametrize("frames", [1, 3, 64])
def test_long_random_runs(sender_greets: bool, frames: int) -> None:
    """Hundreds of things that happen in any order, from printed seeds; afterwards everything has arrived."""
    for seed in range(40):
        dice = random.Random(seed)  # noqa: S311 - nothing secret
        world = World(sender_greets, frames)
        names = [*ACTIONS, *SOUND * 3]
        done = []
        try:
            for _ in range(150):
                done.append(dice.choice(names))
                ACTIONS[done[-1]](world)
            world.recover()
        except BaseException:
            sys.stderr.write(f"seed {seed}: {done}\n")
            raise


def test_numbers_of_another_run_are_no_duplicates() -> None:
    """Where two runs go on from the same numbers (a copy, a backup), only what they have in common is one frame."""
    consumer = Consumer(b"r" * 16, greets=False, frames=9, size=1000, dead_after=DEAD_AFTER)
    delivered: list[bytes] = []
    for run in (b"first run       ", b"second run      "):
        producer = Producer(run, greets=True, dead_after=DEAD_AFTER, first=7)
        producer.restore(7, b"common", lines=False, sender=b"run before both ")
        for body in (b"8 of ", b"9 of "):
            producer.add(body + run, lines=False)
        producer.add_peer("link", 0.0)
        acknowledged: set[int] = set()
        while len(acknowledged) < 3:
            while message := producer.next_message("link", 0.0):
                producer.sent("link", message, 0.0)
                if frame := consumer.receive(run, decode(message.encode()), 0.0):
                    delivered.append(frame.data.body)
                    consumer.settle(frame)
            while answer := consumer.next_message(run, 0.0):
                consumer.sent(run, answer, 0.0)
                settled = producer.receive("link", decode(answer.encode()), 0.0)
                acknowledged |= {entry.sequence for entry in settled}
    assert [body.split()[0] for body in delivered] == [b"common", b"8", b"9", b"8", b"9"]
    assert consumer.duplicates == 1


def test_what_is_acknowledged_is_never_sent_again() -> None:
    """Neither after a silence, nor when the receiver has begun anew."""
    world = World(sender_greets=True, frames=8)
    for _ in range(3):
        world.add()
    world.recover()
    world.start_receiver()
    world.much_later()
    world.add()
    world.recover()
    assert world.delivered == [4]


def test_a_frame_goes_to_another_receiver_when_one_is_silent() -> None:
    """What was on its way to a dead worker goes to the other one, and is believed from either."""
    producer = Producer(b"s" * 16, greets=False, dead_after=DEAD_AFTER)
    workers = {
        name: Consumer(name.encode() * 16, greets=True, frames=1, size=100, dead_after=60) for name in "ab"
    }
    now = 0.0
    for name, worker in workers.items():
        worker.add_peer("link", now)
        greeting = worker.next_message("link", now)
        assert greeting
        worker.sent("link", greeting, now)
        producer.receive(name, decode(greeting.encode()), now)
    producer.add(b"one", lines=False)
    producer.add(b"two", lines=False)
    got: dict[str, list[int]] = {"a": [], "b": []}

    def deliver(name: str) -> None:
        while message := producer.next_message(name, now):
            producer.sent(name, message, now)
            if isinstance(message, Data):
                got[name].append(message.sequence)
            workers[name].receive("link", decode(message.encode()), now)

    deliver("a")
    deliver("b")
    assert got == {"a": [1], "b": [2]}
    now = DEAD_AFTER - 1
    producer.receive("b", decode([b"I" + bytes(8)]), now)
    now = DEAD_AFTER
    assert producer.expire(now) == ["a"]
    assert producer.waiting == 1
    late = decode([b"A" + (1).to_bytes(8, "big") * 2])
    assert [entry.sequence for entry in producer.receive("a", late, now)] == [1]
    assert not producer.waiting


def test_a_peer_that_reads_no_answers_costs_little() -> None:
    """However often it asks or greets; and whoever is only a connection is forgotten on both sides."""
    producer = Producer(b"s" * 16, greets=False, dead_after=DEAD_AFTER)
    consumer = Consumer(b"r" * 16, greets=False, frames=1, size=100, dead_after=DEAD_AFTER)
    for _ in range(1000):
        for end in (producer, consumer):
            end.receive("peer", Ping(1), 0.0)
            end.receive("peer", Hello(b"x" * 16, 1) if end is consumer else consumer.greeting(), 0.0)
    for number in range(1000):
        producer.receive(number, Ping(1), 0.0)
        consumer.receive(number, Ping(1), 0.0)
    assert len(producer._peers["peer"].replies) == len(consumer._peers["peer"].replies) == MOST_REPLIES
    for end in (producer, consumer):
        assert len(end.peers()) == 1001
        end.expire(DEAD_AFTER)
        assert not end.peers()


def test_nobody_can_acknowledge_what_was_not_sent_to_him() -> None:
    """Whatever ranges a peer claims: only frames that he has had are settled."""
    producer = Producer(b"s" * 16, greets=False, dead_after=DEAD_AFTER)
    ready: HopMessage = decode(
        Consumer(b"r" * 16, greets=True, frames=1, size=10, dead_after=9).greeting().encode()
    )
    producer.receive("a", ready, 0.0)
    producer.add(b"one", lines=False)
    producer.add(b"two", lines=False)
    assert producer.receive("a", decode([b"A" + bytes(8) + b"\xff" * 8]), 0.0) == []
    message = producer.next_message("a", 0.0)
    while message and not isinstance(message, Data):
        producer.sent("a", message, 0.0)
        message = producer.next_message("a", 0.0)
    assert message
    producer.sent("a", message, 0.0)
    assert producer.receive("b", decode([b"A" + bytes(8) + b"\xff" * 8]), 0.0) == []
    assert [one.sequence for one in producer.receive("a", decode([b"A" + bytes(8) + b"\xff" * 8]), 0.0)] == [
        1
    ]
    assert producer.strange == 5


@pytest.mark.parametrize(("frames", "size", "on_way"), [(100, 1000, 2), (100, 10, 1), (3, 10_000, 3)])
def test_a_window_is_of_frames_and_of_bytes(frames: int, size: int, on_way: int) -> None:
    """Whichever is reached first; one frame goes alone, however large, and an acknowledgement makes room for one."""
    producer = Producer(b"s" * 16, greets=False, dead_after=DEAD_AFTER)
    producer.receive("peer", Ready(b"r" * 16, frames, size), 0.0)
    for _ in range(10):
        producer.add(b"x" * 400, lines=False)
    sent: list[int] = []

    def send() -> None:
        while message := producer.next_message("peer", 0.0):
            producer.sent("peer", message, 0.0)
            sent.extend([message.sequence] if isinstance(message, Data) else [])

    send()
    assert sent == [*range(1, on_way + 1)]
    producer.receive("peer", Ack(((1, 1),)), 0.0)
    send()
    assert sent == [*range(1, on_way + 2)]


def test_a_sender_that_ignores_its_window_costs_little() -> None:
    """Nor does one that reads no acknowledgements: the excess is ignored, counted, and taken when it comes again."""
    consumer = Consumer(b"r" * 16, greets=False, frames=2, size=1000, dead_after=DEAD_AFTER)
    consumer.receive("peer", Hello(b"s" * 16, 1), 0.0)
    frames = [Data(number, 1, b"", lines=False, sender=b"s" * 16) for number in range(1, 101)]

    def acknowledged() -> set[int]:
        found: set[int] = set()
        while message := consumer.next_message("peer", 0.0):
            consumer.sent("peer", message, 0.0)
            if isinstance(message, Ack):
                found |= {number for a, b in message.ranges for number in range(a, b + 1)}
        return found

    delivered = [one for frame in frames if (one := consumer.receive("peer", frame, 0.0))]
    assert (len(delivered), consumer.excess, consumer.unsettled()) == (8, 92, 8)
    for one in delivered:
        consumer.settle(one)
    assert not any(consumer.receive("peer", frame, 0.0) for frame in frames)  # they wait to be read
    assert acknowledged() == {*range(1, 9)}
    for frame in frames[8:]:
        one = consumer.receive("peer", frame, 0.0)
        assert one
        consumer.settle(one)
        assert acknowledged() == {frame.sequence}
    assert consumer.duplicates == 0


def test_two_connections_with_one_id_are_both_acknowledged() -> None:
    """Whoever repeats a frame that is being worked on learns that it is settled, as does who sent it first."""
    consumer = Consumer(b"r" * 16, greets=False, frames=2, size=1000, dead_after=DEAD_AFTER)
    frame, found = Data(1, 1, b"", lines=False, sender=b"s" * 16), []
    for key in ("one", "two", "two"):
        consumer.receive(key, Hello(b"s" * 16, 1), 0.0)
        found += [one for one in (consumer.receive(key, frame, 0.0),) if one]
    assert len(found) == 1
    consumer.settle(found[0])
    for key in ("one", "two"):
        assert consumer.next_message(key, 0.0) == Ack([(1, 1)])


@pytest.mark.parametrize("seed", range(20))
def test_numbers_are_found_in_whatever_ranges(seed: int) -> None:
    """They may overlap, be out of order, and be longer than anything that there is."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    ranges = [(first, first + dice.choice([0, 1, 5, 1 << 63])) for first in dice.choices(range(200), k=seed)]
    ranges += [(first + 1000, first + 1000) for first in dice.choices(range(200), k=seed)]
    numbers = dice.sample(range(300), 100)
    assert in_ranges(numbers, ranges) == [n for n in numbers if any(a <= n <= b for a, b in ranges)]


@pytest.mark.parametrize("frames", [1, 1 << 31])
def test_any_credit_is_as_much_as_there_is(frames: int) -> None:
    """However many frames, and bytes, a receiver offers to take; one that takes none is none."""
    producer = Producer(b"s" * 16, greets=False, dead_after=DEAD_AFTER)
    for number in range(1, 101):
        producer.add(b"%d" % number, lines=False)
    producer.receive("peer", decode(Ready(b"r" * 16, frames, (1 << 64) - 1).encode()), 0.0)
    count = 0
    while message := producer.next_message("peer", 0.0):
        producer.sent("peer", message, 0.0)
        count += isinstance(message, Data)
    assert count == min(frames, 100)
    with pytest.raises(ProtocolError, match="takes no frames"):
        decode(Ready(b"r" * 16, 0, 1 << 63).encode())


def test_what_a_receiver_remembers_is_bounded() -> None:
    """Of senders the latest, of a sender the highest numbers, and all below the lowest that is not settled."""
    most = consumer_module._MOST_SENDERS
    consumer = Consumer(b"r" * 16, greets=False, frames=9, size=1000, dead_after=DEAD_AFTER)
    for number in range(most + 1):
        consumer.receive("peer", Hello(b"%16d" % number, 5), 0.0)
        assert not consumer.floors()  # whoever only greets takes nobody's place
    for number in range(most + 1):
        frame = consumer.receive("peer", Data(5, 5, b"", lines=False, sender=b"%16d" % number), 0.0)
        assert frame
        consumer.settle(frame)
        while message := consumer.next_message("peer", 0.0):
            consumer.sent("peer", message, 0.0)
    floors = consumer.floors()
    assert len(floors) == most == 10_000
    assert b"%16d" % 0 not in floors
    assert floors[b"%16d" % most] == 5
    memory = SenderMemory(floor=4)
    for number in range(6, MOST_REMEMBERED + 7):
        memory.settle(number)
    assert MOST_REMEMBERED - 1000 <= len(memory.settled) <= MOST_REMEMBERED == 100_000
    assert (memory.knows(4), memory.knows(6), memory.knows(MOST_REMEMBERED + 6)) == (True, False, True)
    memory.settle(5)
    assert memory.floor == 5
