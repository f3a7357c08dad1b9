"""Small frames and single messages of an acknowledged hop travel together, and still have outcomes of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.delivery import AMBIENT, NO_HOLD, Delivery, Outcome
from message_passing.lines import LineBatch, LineBlock
from message_passing.outputs._lines import as_block
from message_passing.outputs.file import FileOutput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.wiring import Wiring
from message_passing.zeromq.hop.acknowledged_receiving import AcknowledgedReceiving
from message_passing.zeromq.hop.consumer import Delivered
from message_passing.zeromq.hop.frames import Data
from message_passing.zeromq.hop.gathering import Gathering
from message_passing.zeromq.hop.packing import BLOCK_BYTES, TOGETHER_BYTES, unpacked
from nodes import node, part

if TYPE_CHECKING:
    from pathlib import Path


def test_single_messages_share_frames(tmp_path: Path) -> None:
    """Given one by one, they are sent in fewer frames, in order, and each is settled."""
    endpoint, settled = f"tcp://127.0.0.1:{free_port()}", dict[int, Outcome]()
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER")
    with node(*words, *part("output", "File", filename=str(tmp_path / "out"))) as receiving:
        with ZeroMQOutput(connect=endpoint, socket_type="DEALER") as output:
            for n in range(1000):
                with Delivery(lambda outcome, n=n: settled.__setitem__(n, outcome), output):  # type: ignore[misc]
                    output.consume(b'{"n":%d}' % n)
            wait_for(lambda: len(settled) == 1000, timeout=20)
            assert output.held() == 0
            sending = output._acknowledged
            assert sending
            assert sending.size == 0
            assert sending._sender.producer.first <= 1000, "the next frame's number"
        receiving.stop()
    assert set(settled.values()) == {Outcome.DELIVERED}
    assert (tmp_path / "out").read_bytes() == b"".join(b'{"n":%d}\n' % n for n in range(1000))


@pytest.mark.parametrize("odd", [b"two\nlines", b""])
def test_each_gathered_message_keeps_its_outcome(odd: bytes) -> None:
    """Also where one of them cannot be a line of a frame with the others."""
    gathering, told = Gathering(), list[int]()
    holds = []
    for n, message in enumerate([b"a", odd, b"c"]):
        delivery = Delivery(lambda _outcome, n=n: told.append(n), None)  # type: ignore[misc]
        with delivery:
            output = FileOutput(filename="unopened")
            holds.append(output.hold())
        gathering.add(message, holds[-1])
    assert gathering.size == 2 + len(odd)
    found = [*gathering.frames()]
    assert sum(count for _, count, _, _ in found) == 3
    assert [
        message for body, _, lines, _ in found for message in (body.split(b"\n") if lines else [body])
    ] == [
        b"a",
        odd,
        b"c",
    ]
    for _, _, _, batches in found:
        for batch in batches:
            batch.settle()
    assert told == [0, 1, 2]
    assert gathering.size == 0
    assert not [*gathering.frames()]


def test_messages_without_an_outcome_are_gathered_too() -> None:
    """Settling them has no effect, however many they are."""
    gathering = Gathering()
    for _ in range(10):
        gathering.add(b"x", NO_HOLD)
    (frame,) = gathering.frames()
    for batch in frame[3]:
        batch.settle()


class Chain:
    """An input's end, whose chain loses what it is told to."""

    def __init__(self, lost: int) -> None:
        self.wiring = Wiring()
        self.got: list[list[bytes]] = []
        self._lost = lost

    def emit(self, messages: Any) -> None:
        """Take a batch."""
        self.got.append([*messages])
        if len(self.got) <= self._lost:
            assert AMBIENT.fate
            AMBIENT.fate.note(Outcome.LOST)

    async def drain(self) -> None:
        """There is room."""


class Arrived:
    """A receiving end with some frames."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.frames = [
            Delivered(1, Data(n, 1, body, lines=True, sender=b"")) for n, body in enumerate(bodies, 1)
        ]
        self.settled: list[int] = []
        self.answers: list[int] = []
        self.consumer = self

    def receive(self) -> list[Delivered]:
        """All of them, once."""
        found, self.frames = self.frames, []
        return found

    def settle(self, delivered: Delivered) -> None:
        """One is settled."""
        self.settled.append(delivered.data.sequence)

    def answer(self) -> bool:
        """Acknowledge."""
        self.answers.append(len(self.settled))
        return False


async def deliver_all(receiving: AcknowledgedReceiving, arrived: Arrived, count: int) -> None:
    """Deliver until so many frames are settled."""
    async with asyncio.timeout(20):
        while len(arrived.settled) < count:
            await receiving._deliver_some()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("blocks", [True, False])
def test_small_frames_are_delivered_together(blocks: bool) -> None:
    """Up to a bound; and large ones are acknowledged before all that has arrived is delivered."""
    bodies = [b"%d\n%d" % (n, n) for n in range(50)] + [b"x" * (60 << 10)] * 50
    chain, arrived = Chain(0), Arrived(bodies)
    chain.wiring = Wiring(blocks=blocks)
    receiving: Any = AcknowledgedReceiving(arrived, chain, lambda: None)  # type: ignore[arg-type]
    asyncio.run(deliver_all(receiving, arrived, 100))
    assert [line for batch in chain.got for line in batch] == b"\n".join(bodies).split(b"\n")
    assert len(chain.got) == (7 if blocks else 25)
    most = BLOCK_BYTES if blocks else TOGETHER_BYTES
    assert all(sum(map(len, batch)) <= most for batch in chain.got)
    assert arrived.settled == [*range(1, 101)]
    assert len(arrived.answers) == 2


def test_what_was_lost_together_comes_again_one_by_one() -> None:
    """So a chain that loses one of them for good does not get the others twice again."""
    chain, arrived = Chain(2), Arrived([b"a", b"b", b"c"])
    receiving: Any = AcknowledgedReceiving(arrived, chain, lambda: None)  # type: ignore[arg-type]
    asyncio.run(deliver_all(receiving, arrived, 3))
    assert chain.got == [[b"a", b"b", b"c"], [b"a"], [b"a"], [b"b"], [b"c"]]
    assert receiving._redelivery.redelivered == 2
    assert not receiving.stalled


def test_frames_are_a_block_where_the_chain_takes_one() -> None:
    """Otherwise a batch of lines; and a list, where a frame is one message."""
    lines = Data(1, 1, b"a\nb", lines=True, sender=b"")
    single = Data(2, 1, b"c\nd", lines=False, sender=b"")
    block = unpacked([lines, lines], blocks=True)
    assert type(block) is LineBlock
    assert (block.block, len(block), block.checked) == (b"a\nb\na\nb\n", 4, False)
    batch = unpacked([lines, lines], blocks=False)
    assert type(batch) is LineBatch
    assert [*batch] == [b"a", b"b", b"a", b"b"]
    assert unpacked([lines, single], blocks=True) == [b"a", b"b", b"c\nd"]


@pytest.mark.parametrize("text", ["a\rb", "a\x0bb", "a\u2028b"])
def test_a_block_of_any_lines_is_escaped(text: str) -> None:
    """Nobody has checked them: what some reader takes for a line break is escaped, as in single messages."""
    block = LineBlock(f"{text}\nplain\n".encode(), 2, checked=False)
    output = FileOutput(filename="unopened")
    written, lines = as_block(output, block)
    assert written == as_block(output, [text.encode(), b"plain"])[0]
    assert len(lines) == 2
    assert as_block(output, LineBlock(b"a\r\nplain\n", 2, checked=False))[0] == b"a\r\nplain\n"


class ArrivesWhileAnswering(Arrived):
    """One whose frames arrive within the call that sends, so that nothing tells of them afterwards."""

    def __init__(self, bodies: list[bytes]) -> None:
        super().__init__(bodies)
        self.later, self.frames = self.frames, []
        self.sockets = self
        self.file_descriptors: list[int] = []

    def on_ready(self, wake: object) -> None:
        """Nothing tells."""

    def next_time(self, now: float) -> float:
        """Nothing is due."""
        return now + 1000

    def answer(self) -> bool:
        """Send, and have something to receive then."""
        self.frames, self.later = self.later, []
        return bool(self.frames)


def test_what_arrives_while_answering_is_received() -> None:
    """Sending takes the signal of what has arrived meanwhile (ZMQ_FD, zmq_getsockopt(3)): it is looked at again."""

    async def run() -> None:
        task = asyncio.create_task(receiving.run())
        async with asyncio.timeout(20):
            while not chain.got:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0.01)
        task.cancel()

    chain, arrived = Chain(0), ArrivesWhileAnswering([b"a"])
    receiving: Any = AcknowledgedReceiving(arrived, chain, lambda: None)  # type: ignore[arg-type]
    asyncio.run(run())
    assert chain.got == [[b"a"]]
