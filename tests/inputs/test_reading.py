"""Cutting what was read into lines, and batches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing import Output
from message_passing.inputs._reading import READ_BATCH, LineInput
from message_passing.testing import TestOutput, capture, free_port, wait_for
from nodes import OURS, lines, node, part
from support import untimed


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


@given(st.lists(st.text("ab\n", max_size=12).map(str.encode), max_size=12), st.integers(1, 15))
def test_lines_that_are_too_long(chunks: list[bytes], most: int) -> None:
    """They are left out and counted, wherever a chunk ends; all others are whole."""
    errors = TestOutput()
    component = Chunks(chunks=chunks, max_line=most, error=errors)
    arrived = capture(component)
    asyncio.run(component.run())
    component.close()
    text = b"".join(chunks)
    expected = text.split(b"\n")
    if not expected[-1]:
        del expected[-1]
    assert arrived.messages == [line for line in expected if len(line) <= most]
    left_out = [line for line in expected if len(line) > most]
    assert component.metrics.failed == len(left_out)
    assert component.metrics.received == len(expected)
    for report, line in zip(errors.messages, left_out, strict=True):
        assert line.startswith(report["packed_data"].encode())
        assert f"more than {most} bytes (max_line)" in report["exception"]


def test_a_line_without_an_end_is_not_kept() -> None:
    """Memory is bounded by `max_line`, also where the line comes in many small pieces."""
    most = 1 << 17
    component = Chunks(max_line=most, error=TestOutput())
    arrived = capture(component)
    component.take(b"before\n")
    tracemalloc.start()
    try:
        for _ in range(2 * most):
            component.take(b"xyz")
        grown, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000
    assert peak < 3 * most
    component.take(b"end\nafter\n")
    asyncio.run(component.pass_on())
    assert arrived.messages == [b"before", b"after"]
    assert component.metrics.failed == 1


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
    asyncio.run(Chunks(chunks=[b"x\n" * (2 * READ_BATCH + 5)], output_to=sizes).run())
    assert sizes.sizes == [READ_BATCH, READ_BATCH, 5]


def test_cancelled_while_downstream_is_full() -> None:
    """What was read and waits for room is emitted when the input is stopped, the partial line too."""
    sizes = Sizes()
    sizes.stuck = True
    component = Chunks(chunks=[b"x\n" * (2 * READ_BATCH) + b"partial"], output_to=sizes)

    async def stop_early() -> None:
        task = asyncio.create_task(component.run())
        await asyncio.wait([task], timeout=0.01)  # it stands at the first batch
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(stop_early())
    assert sizes.sizes == [READ_BATCH]
    component.stopped()
    assert sizes.sizes == [READ_BATCH, READ_BATCH, 1]
    component.stopped()
    assert sum(sizes.sizes) == 2 * READ_BATCH + 1


def test_inputs_take_turns() -> None:
    """Two flooded inputs on one output alternate batch by batch."""
    order: list[str] = []

    class Named(Output):
        tag: str = ""

        def write_many(self, messages: list[Any]) -> None:
            order.append(self.tag)

    async def both() -> None:
        flood = [b"x\n" * (4 * READ_BATCH)]
        one = Chunks(chunks=flood, output_to=Named(tag="a"))
        two = Chunks(chunks=flood, output_to=Named(tag="b"))
        await asyncio.gather(one.run(), two.run())

    asyncio.run(both())
    assert order == ["a", "b"] * 4


def test_a_line_in_many_pieces() -> None:
    """Its cost is not quadratic: a megabyte in a hundred thousand pieces is a line at once."""
    component = Chunks(chunks=[b"x" * 10] * 100_000)
    arrived = capture(component)
    began = time.process_time()
    asyncio.run(component.run())
    assert time.process_time() - began < 2
    assert arrived.messages == [b"x" * 1_000_000]


def high_water(process_id: int) -> int:
    """The most memory that a process has had, in KiB; 0 when it has ended. Its ru_maxrss would begin with ours."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process_id}/status").read_text(encoding="ascii"))
        return int(found[1]) if found else 0
    return 0


@pytest.mark.parametrize("which", ["STDIN", "FileTail", "send"])
def test_a_command_that_reads_a_line_without_an_end(which: str, tmp_path: Path) -> None:
    """300 MB without a newline take little memory, are counted as one message, and what follows comes."""
    size = 300_000_000
    given = tmp_path / "given"
    with given.open("wb") as file:
        file.write(b"before\n")
        file.seek(size)
        file.write(b"\nafter\n")
    port = free_port()
    words = {
        "STDIN": part("input", "STDIN", max_line=1 << 20),
        "FileTail": part(
            "input", "FileTail", filename=str(given), raw=True, start="beginning", max_line=1 << 20
        ),
        "send": ["send", "--socket-type", "PUSH", "--connect", f"tcp://127.0.0.1:{port}"],
    }[which]
    listening = part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}", socket_type="PULL")
    with contextlib.ExitStack() as stack:
        if which == "send":
            stack.enter_context(node(*listening, "--output", "Null"))
        else:
            words += ["--decoder", "Null", *part("output", "File", filename=str(tmp_path / "out"))]
        sees = stack.enter_context(given.open("rb"))
        told_to = stack.enter_context((tmp_path / "told").open("wb"))
        process = subprocess.Popen([*OURS, *words], stdin=sees, stderr=told_to)
        try:
            if which == "FileTail":
                wait_for(lambda: b"after" in b"".join(lines(tmp_path / "out")), timeout=30)
                process.terminate()
            highest = 0
            while process.poll() is None:
                highest = max(highest, high_water(process.pid))
                time.sleep(0.01)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
    told = (tmp_path / "told").read_text()
    assert 0 < highest < 150_000
    if which == "send":
        assert "1 message was not sent: larger than" in told
        assert process.returncode == 1
    else:
        assert lines(tmp_path / "out") == [b"before", b"after"]
        assert untimed(told).endswith(f"message-passing: input ({which}) lost 1 message: 1 failed\n")
        assert "a line of more than 1048576 bytes" in json.loads(told.splitlines()[0])["exception"]
