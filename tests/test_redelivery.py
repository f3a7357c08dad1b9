"""What the chain loses of a batch is delivered again, and nothing else of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.codecs.json import JSONDecoder, JSONEncoder
from message_passing.errors import DecodingError
from message_passing.filters.fallback import FallbackFilter
from message_passing.filters.mangle import MangleFilter
from message_passing.filters.retry import RetryFilter
from message_passing.flow import Filter, Input, Output
from message_passing.redelivery import OrderedBatch, Redelivery
from message_passing.testing import wait_for
from support import Kept

if TYPE_CHECKING:
    from message_passing.delivery import Hold

LINES = [b'{"n":%d}' % n for n in range(80)]


class Source(Input):
    """Delivers what a test says."""


class Emptying(Filter):
    """Takes messages off the batch that it is given, which it should not, and passes them on."""

    def filter_many(self, messages: list[Any]) -> list[Any]:
        """Empty the batch."""
        taken = [*messages]
        messages.clear()
        return taken


class SmallDisk(Output):
    """Has room for a few messages at a time, and may settle what it took later."""

    def on_init(self) -> None:
        """Room for none."""
        self.room = 0
        self.taken: list[bytes] = []
        self.holds: list[Hold] | None = None

    def write_many(self, messages: list[Any]) -> None:
        """Take what there is room for."""
        fits, self.room = messages[: self.room], max(0, self.room - len(messages))
        self.taken += fits
        if fits and self.holds is not None:
            self.holds.append(self.hold())
        if rest := messages[len(fits) :]:
            self.fail(OSError(28, "No space left on device"), rest)


def looking(message: dict[str, Any]) -> dict[str, Any]:
    """Have the messages decoded and encoded again."""
    return {"n": message["n"]}


def chain(disk: SmallDisk, *, looked_at: bool) -> Output:
    """Decoder and encoder before an output; and something between them that makes other messages of them."""
    encoder = JSONEncoder(output_to=disk)
    return JSONDecoder(
        output_to=MangleFilter(filter_function=looking, output_to=encoder) if looked_at else encoder
    )


@pytest.fixture
def disk() -> SmallDisk:
    """A disk without room."""
    return SmallDisk(error=Kept())


@pytest.mark.parametrize("looked_at", [False, True], ids=["unchanged", "made anew"])
@pytest.mark.parametrize("at_once", [9, 30, 100])
def test_nothing_is_delivered_twice_by_a_disk_that_frees_little_by_little(
    disk: SmallDisk, looked_at: bool, at_once: int
) -> None:
    """All arrives in order, once: but for what had room in the first batch, where nobody knows what that was."""
    settled: list[tuple[OrderedBatch, bool]] = []
    source = Source(output_to=chain(disk, looked_at=looked_at))
    redelivery = Redelivery(source, lambda batch, done: settled.append((batch, done)))
    disk.room = at_once
    with source:
        redelivery.deliver(OrderedBatch(1, LINES[:40]))
        while len([batch for batch, done in settled if done]) < 2:
            disk.room = at_once
            wait_for(lambda: not redelivery.stalls() or redelivery.again(), timeout=20)
            if settled[-1] == (OrderedBatch(1, []), True):
                redelivery.deliver(OrderedBatch(2, LINES[40:]))
    first = at_once if looked_at and at_once < 40 else 0
    assert disk.taken[first:] == LINES
    assert disk.taken[:first] == LINES[:first]


def test_what_comes_after_a_loss_that_is_not_settled_waits(disk: SmallDisk) -> None:
    """A batch of which a part is being written has lost the rest by then: nothing may overtake that."""
    settled: list[bool] = []
    disk.room, disk.holds = 10, []
    source = Source(output_to=disk)
    redelivery = Redelivery(source, lambda _batch, done: settled.append(done))
    with source:
        redelivery.deliver(OrderedBatch(1, LINES))
        assert redelivery.stalls()
        assert not redelivery.again()
        assert not settled
        disk.holds.pop().release()
        assert settled == [False]
        disk.room = 1000
        wait_for(redelivery.again, timeout=20)
        assert not redelivery.stalls()
        disk.holds.pop().release()
    assert settled == [False, True]
    assert disk.taken == LINES
    assert redelivery.redelivered == 1


@pytest.mark.parametrize("room", [0, 30])
def test_a_filter_that_empties_its_batch_loses_nothing(room: int) -> None:
    """What is delivered again is known from what was delivered, not from what a component has left of that."""
    disk = SmallDisk(error=Kept())
    emptying = Emptying(output_to=disk)
    emptying._pace.most = float("inf")
    source = Source(output_to=emptying)
    redelivery = Redelivery(source, lambda *_: None)
    disk.room = room
    with source:
        redelivery.deliver(OrderedBatch(1, [*LINES]))
        disk.room = 1000
        wait_for(redelivery.again, timeout=20)
    assert disk.taken == LINES


def test_messages_of_an_object_that_may_be_changed_are_not_told_apart() -> None:
    """The same dict may stand for others by then: what was lost of a batch of dicts is found one by one."""
    disk = SmallDisk(error=Kept())
    source = Source(output_to=disk)
    objects: list[Any] = [{"n": n} for n in range(10)]
    redelivery = Redelivery(source, lambda *_: None, lambda items: [objects[int(item)] for item in items])
    disk.room = 5
    with source:
        redelivery.deliver(OrderedBatch(1, [b"%d" % n for n in range(10)]))
        disk.room = 100
        wait_for(redelivery.again, timeout=20)
    assert disk.taken == [*objects[:5], *objects]


@pytest.mark.parametrize("looked_at", [False, True], ids=["unchanged", "made anew"])
def test_retry_hands_on_what_was_lost(disk: SmallDisk, looked_at: bool) -> None:
    """It counts each message once, and its delivery is settled when the last one is."""
    outcomes: list[int] = []
    disk.room = 15
    retry = RetryFilter(first=0.01, longest=0.02, output_to=chain(disk, looked_at=looked_at))
    source = Source(output_to=retry)

    async def work() -> None:
        with source:
            source.deliver(LINES[:40], outcomes.append)
            async with asyncio.timeout(20):
                while not outcomes:
                    assert retry.held() <= 40
                    await asyncio.sleep(0.01)
                    disk.room = 15
        assert retry.held() == 0

    asyncio.run(work())
    assert outcomes == [0]
    assert disk.taken == (LINES[:15] if looked_at else []) + LINES[:40]
    assert retry.snapshot()["passed"] == 40


def test_fallback_hands_on_what_was_lost(disk: SmallDisk) -> None:
    """The next output gets what the first one had no room for, and nothing else."""
    second = Kept()
    outcomes: list[int] = []
    disk.room = 15
    source = Source(output_to=FallbackFilter(output_to=[disk, second]))

    async def work() -> None:
        with source:
            source.deliver(LINES, outcomes.append)
            async with asyncio.timeout(20):
                while not outcomes:  # noqa: ASYNC110 - a list
                    await asyncio.sleep(0.01)

    asyncio.run(work())
    assert (disk.taken, second.messages) == (LINES[:15], LINES[15:])
    assert outcomes == [0]


def test_a_rejection_is_not_forgotten() -> None:
    """Of a batch of which one was rejected, and others lost and settled later, the worst is what remains."""
    outcomes: list[int] = []

    class Picky(SmallDisk):
        def write_many(self, messages: list[Any]) -> None:
            if LINES[0] in messages:
                self.fail(DecodingError("never"), [LINES[0]])
            super().write_many([message for message in messages if message != LINES[0]])

    disk = Picky(error=Kept())
    disk.room = 3
    source = Source(output_to=RetryFilter(first=0.01, output_to=disk))

    async def work() -> None:
        with source:
            source.deliver(LINES[:10], outcomes.append)
            disk.room = 100
            async with asyncio.timeout(20):
                while not outcomes:  # noqa: ASYNC110 - a list
                    await asyncio.sleep(0.01)

    asyncio.run(work())
    assert outcomes == [1]
    assert disk.taken == LINES[1:10]


def test_an_output_that_raises_in_the_middle_of_a_batch_gets_each_message_once_more_at_most() -> None:
    """Nobody knows what it had done by then: so they are delivered one by one, and those that pass are settled."""

    class Raises(SmallDisk):
        def write_many(self, messages: list[Any]) -> None:
            for message in messages:
                if not self.room:
                    raise OSError(28, "No space left on device")
                self.room -= 1
                self.taken.append(message)

    disk = Raises(error=Kept())
    settled: list[bool] = []
    source = Source(output_to=disk)
    redelivery = Redelivery(source, lambda _batch, done: settled.append(done))
    with source:
        disk.room = 20
        redelivery.deliver(OrderedBatch(1, LINES))
        while not settled[-1]:
            disk.room = 20
            wait_for(redelivery.again, timeout=20)
    assert disk.taken == LINES[:20] + LINES
