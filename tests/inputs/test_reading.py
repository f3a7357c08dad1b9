"""Cutting what was read into lines, and batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from message_passing import Output
from message_passing.inputs._reading import BATCH, LineInput
from message_passing.testing import capture

if TYPE_CHECKING:
    import pytest


class Chunks(LineInput):
    """Reads a list of chunks."""

    chunks: list[bytes] = []  # noqa: RUF012 - an option's default, copied for each component

    def as_messages(self, lines: list[bytes]) -> list[Any]:
        """The lines as they are."""
        return list(lines)

    async def run(self) -> None:
        """Take a chunk, pass its lines on."""
        for chunk in self.chunks:
            self.take(chunk)
            await self.pass_on()
        self.end_line()
        await self.pass_on()


class Sizes(Output):
    """Notes how large its batches are, and lets nothing pass when told so."""

    def on_init(self) -> None:
        """Nothing seen."""
        self.sizes: list[int] = []
        self.stuck = False

    def write_many(self, messages: list[Any]) -> None:
        """Note the size."""
        self.sizes.append(len(messages))

    async def drain(self) -> None:
        """Wait for ever, if stuck."""
        if self.stuck:
            await asyncio.get_running_loop().create_future()


@given(st.lists(st.text("ab\n\r", max_size=12).map(str.encode), max_size=12))
def test_lines_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    """However a text is cut into chunks, its lines are the same, and none is lost."""
    component = Chunks(chunks=chunks)
    arrived = capture(component)
    asyncio.run(component.run())
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert arrived.messages == expected


def test_batches_are_bounded() -> None:
    """A chunk of many lines is passed on in full batches and a rest."""
    sizes = Sizes()
    asyncio.run(Chunks(chunks=[b"x\n" * (2 * BATCH + 5)], output_to=sizes).run())
    assert sizes.sizes == [BATCH, BATCH, 5]


def test_cancelled_while_downstream_is_full() -> None:
    """What was read and waits for room is emitted when the input is stopped, the partial line too."""
    sizes = Sizes()
    sizes.stuck = True
    component = Chunks(chunks=[b"x\n" * (2 * BATCH) + b"partial"], output_to=sizes)

    async def stop_early() -> None:
        task = asyncio.create_task(component.run())
        await asyncio.wait([task], timeout=0.01)  # it stands at the first batch
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(stop_early())
    assert sizes.sizes == [BATCH]
    component.stopped()
    assert sizes.sizes == [BATCH, BATCH, 1]
    component.stopped()
    assert sum(sizes.sizes) == 2 * BATCH + 1


def test_inputs_take_turns() -> None:
    """Two flooded inputs on one output alternate batch by batch."""
    order: list[str] = []

    class Named(Output):
        tag: str = ""

        def write_many(self, messages: list[Any]) -> None:
            order.append(self.tag)

    async def both() -> None:
        flood = [b"x\n" * (4 * BATCH)]
        one = Chunks(chunks=flood, output_to=Named(tag="a"))
        two = Chunks(chunks=flood, output_to=Named(tag="b"))
        await asyncio.gather(one.run(), two.run())

    asyncio.run(both())
    assert order == ["a", "b"] * 4


def test_a_long_line_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in many pieces stays in pieces until its end: its cost is not quadratic."""
    component = Chunks()
    arrived = capture(component)
    for _ in range(1000):
        component.take(b"x" * 1000)
    assert len(component._partial) == 1000
    monkeypatch.setattr(component, "chunks", [b"\n"])
    asyncio.run(component.run())
    assert arrived.messages == [b"x" * 1_000_000]
