"""Whom the limiter blames for the memory that messages take, with a clock and a memory of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from message_passing.zeromq.connections import Connections, Traffic
from message_passing.zeromq.descriptors import Connection
from message_passing.zeromq.intake_limiter import MEMORY_INTERVAL, TOO_MUCH, UNFINISHED, IntakeLimiter
from message_passing.zeromq.throttled_warnings import ThrottledWarnings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIB = 1 << 20
BOUND = 64 * MIB


class Peers:
    """Connections, and what has come through each."""

    def __init__(self, *descriptors: int, port: int = 1) -> None:
        self.alive = [Connection(number, number, True, "127.0.0.1", port, 2) for number in descriptors]
        self.read = dict.fromkeys(descriptors, 0)
        self.listeners: list[Connection] = []
        self.paused = False

    def __len__(self) -> int:
        return len(self.alive)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self.alive))

    def traffic(self, one: Connection) -> Traffic | None:
        """What has been read."""
        return Traffic(self.read[one.descriptor], 0, 0, 0) if one.port else None

    def pause(self, _all: Iterable[Connection]) -> None:
        """Nothing more comes."""
        self.paused = True

    def resume(self, _all: Iterable[Connection]) -> None:
        """It does again."""
        self.paused = False

    def disconnect(self, chosen: list[Connection]) -> int:
        """They are gone."""
        self.alive = [one for one in self.alive if one not in chosen]
        return len(chosen)


class Scene:
    """A limiter and what it sees."""

    def __init__(self, peers: Peers, maxmsgsize: int = 16 * MIB) -> None:
        self.peers = peers
        self.now = 100.0
        self.own = 10 * MIB
        self.times = dict.fromkeys(peers.read, 1)  # bytes in memory for each that came unfinished
        self.unfinished = dict.fromkeys(peers.read, 0)
        self.delivered: dict[int, int] = {}
        self.drained = True
        self.exact = False
        self.limiter = IntakeLimiter(
            cast("Connections", peers),
            self.ask,
            ThrottledWarnings(),
            bound=BOUND,
            maxmsgsize=maxmsgsize,
            memory=self.memory,
            clock=lambda: self.now,
        )

    def ask(self, exact: bool) -> tuple[bool, dict[int, int]]:
        """For the limiter."""
        self.exact = exact
        delivered, self.delivered = self.delivered, {}
        return self.drained, delivered

    def memory(self) -> int:
        """What the process has, and what connections have brought that are there."""
        there = [one.descriptor for one in self.peers]
        return self.own + sum(self.unfinished[number] * self.times[number] for number in there)

    def comes(self, number: int, size: int, *, whole: bool = False) -> None:
        """A connection brings bytes, of a message without an end or of whole ones."""
        if self.peers.paused:
            return
        self.peers.read[number] += size
        if whole:
            self.delivered[number] = self.delivered.get(number, 0) + size
        else:
            self.unfinished[number] += size

    def ticks(self, count: int = 1) -> None:
        """Time passes."""
        for _ in range(count):
            self.now += MEMORY_INTERVAL
            self.limiter.tick()

    def left(self) -> list[int]:
        """Who is connected."""
        return [one.descriptor for one in self.peers]


def test_an_unfinished_message_above_its_limit_ends_its_sender() -> None:
    """However much an honest one sends meanwhile."""
    scene = Scene(Peers(1, 2))
    for _ in range(100):
        scene.comes(1, MIB)
        scene.comes(2, 4 * MIB, whole=True)
        scene.ticks()
    assert scene.left() == [2]
    assert scene.limiter.disconnected == {UNFINISHED: 1}
    scene.ticks(20)
    assert not scene.exact


def test_small_frames_count_as_what_they_take() -> None:
    """The largest of those who deliver nothing is blamed, not who sends more bytes and finishes."""
    scene = Scene(Peers(1, 2, 3))
    scene.times[1] = 32
    for _ in range(100):
        scene.comes(1, MIB // 16)
        scene.comes(2, 4 * MIB, whole=True)
        scene.ticks()
    assert scene.left() == [2, 3]
    assert scene.limiter.disconnected == {TOO_MUCH: 1}
    assert not scene.peers.paused


def test_many_who_may_each_have_what_they_have() -> None:
    """Together too much: as many go as must, the largest first."""
    scene = Scene(Peers(*range(100)))
    for size in range(20):
        for number in range(100):
            scene.comes(number, MIB // 10 + number * (size % 2))
        scene.ticks(2)
    assert 0 < len(scene.left()) < 100
    assert scene.memory() < scene.own + BOUND
    scene.ticks(100)
    assert not scene.peers.paused


def test_what_the_process_takes_for_itself_is_nobodys_fault() -> None:
    """A filter's table grows: nobody is disconnected, and looking closely ends."""
    scene = Scene(Peers(1))
    for _ in range(200):
        scene.own += MIB
        scene.comes(1, MIB, whole=True)
        scene.ticks()
    scene.ticks(20)
    assert scene.left() == [1]
    assert (scene.exact, scene.peers.paused) == (False, False)


def test_while_the_chain_stands_still_all_wait_and_nobody_goes() -> None:
    """What waits may be whole messages: that is known when it has been received."""
    scene = Scene(Peers(1, 2))
    scene.drained = False
    for _ in range(100):
        scene.comes(1, MIB, whole=True)
        scene.own += 0 if scene.peers.paused else MIB
        scene.ticks()
    assert scene.peers.paused
    assert scene.left() == [1, 2]
    assert scene.memory() < scene.own + BOUND
    scene.own, scene.drained, scene.delivered = 10 * MIB, True, {1: scene.peers.read[1]}
    scene.ticks(20)
    assert (scene.left(), scene.peers.paused, scene.limiter.pauses) == ([1, 2], False, 1)


def test_where_traffic_is_not_told_who_delivers_nothing_goes_at_the_bound() -> None:
    """Over ipc."""
    scene = Scene(Peers(1, 2, port=0))
    for _ in range(150):
        scene.comes(1, MIB)
        scene.comes(2, 1000, whole=True)
        scene.ticks()
    assert scene.left() == [2]


def test_a_slow_one_is_not_forgotten() -> None:
    """What comes a little at a time over hours is counted from the beginning."""
    scene = Scene(Peers(1, 2))
    scene.times[1] = 32
    for _ in range(3000):
        scene.comes(1, 1000)
        scene.comes(2, 1000, whole=True)
        scene.ticks(3)
    assert scene.left() == [2]
