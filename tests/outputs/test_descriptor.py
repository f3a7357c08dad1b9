"""Pipes, terminals and sockets whose reader takes nothing, has gone, or has not come yet."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import pty
import socket
import termios
import threading
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OutputClosedError
from message_passing.outputs import _descriptor
from message_passing.outputs._channel import Channel
from message_passing.outputs.file import FileOutput
from message_passing.outputs.stderr import StderrOutput
from message_passing.outputs.stdout import StdoutOutput
from message_passing.testing import TestOutput, wait_for
from nodes import node, part
from support import accounted_for, untimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodes import Node

LINE = b'{"n":1,"text":"' + b"x" * 84 + b'"}'


MADE: list[Any] = []
"""Outputs of the present test."""


def writing(fd: int, base: type[StdoutOutput | StderrOutput] = StdoutOutput) -> Any:
    """A STDOUT or STDERR output that writes to another descriptor."""
    made = type("Injected", (base,), {"fd": fd, "name": base.name})(error=TestOutput())
    MADE.append(made)
    return made


@pytest.fixture(autouse=True)
def _all_closed() -> Iterator[None]:
    """What outputs have opened themselves ends with them."""
    before = open_descriptors()
    yield
    while MADE:
        with contextlib.suppress(OutputClosedError):
            MADE.pop().close()
    assert open_descriptors() <= before


def open_descriptors() -> set[str]:
    """The descriptors of this process, and what they are."""
    found = {str(one): os.path.realpath(one) for one in Path("/proc/self/fd").iterdir()}
    return {f"{name} {target}" for name, target in found.items() if "/proc/" not in target}


@contextlib.contextmanager
def ends(kind: str) -> Iterator[tuple[int, int]]:
    """The reading and the writing end of something that can stand still."""
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "terminal":
        reader, writer = pty.openpty()
    else:
        one, other = socket.socketpair()
        reader, writer = one.detach(), other.detach()
    try:
        yield reader, writer
    finally:
        for fd in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def take_all(reader: int, taken: list[bytes], size: int) -> None:
    """Read so many bytes; a terminal adds carriage returns, which are no part of them."""
    while sum(map(len, taken)) < size:
        taken.append(os.read(reader, 65536).replace(b"\r", b""))


@pytest.mark.parametrize(
    ("kind", "own"),
    [("pipe", True), ("pipe", False), ("terminal", True), ("socket", True)],  # False: written in pieces
)
def test_nothing_waits_in_the_loop(kind: str, monkeypatch: pytest.MonkeyPatch, *, own: bool) -> None:
    """A batch that does not fit is queued at once, drain waits for the reader, and nothing is lost or doubled."""
    if not own:
        real = os.open

        def refuse(path: Any, *rest: Any, **more: Any) -> int:
            if str(path).startswith("/proc/self/fd/"):
                raise PermissionError(errno.EACCES, "no")
            return real(path, *rest, **more)

        monkeypatch.setattr(os, "open", refuse)
    batch = [b"%06d" % n + b"x" * 94 for n in range(10_000)]
    taken: list[bytes] = []
    with ends(kind) as (reader, writer):
        output = writing(writer)

        async def write() -> tuple[float, int]:
            began = time.monotonic()
            output.consume_many(batch)
            took, held = time.monotonic() - began, output.snapshot()["held"]
            drained = asyncio.create_task(output.drain())
            await asyncio.wait([drained], timeout=0.05)
            assert not drained.done()
            reading = threading.Thread(target=take_all, args=(reader, taken, 101 * len(batch)))
            reading.start()
            output.ending = True
            await drained
            await asyncio.to_thread(reading.join)
            return took, held

        took, held = asyncio.run(write())
        assert output.held() == 0
        output.close()
    assert took < 1
    assert held == 10_000
    assert b"".join(taken) == b"\n".join([*batch, b""])
    assert output.snapshot()["passed"] == 10_000


def test_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not wait for room is dropped beyond the bound, and counted, and so is what closing cannot write."""
    monkeypatch.setattr(_descriptor, "WAITING_LINES_BYTES", 300_000)
    monkeypatch.setattr(_descriptor, "AT_CLOSE", 0.05)
    with ends("pipe") as (_, writer):
        output = writing(writer, StderrOutput)

        async def flood() -> None:
            for _ in range(100):
                output.consume_many([LINE] * 100)

        asyncio.run(flood())
        queued = sum(len(one.data) - one.done for one in output._queue)
        assert 280_000 < queued <= 300_000
        dropped = output.snapshot()["dropped"]
        assert set(dropped) == {"nobody reads"}
        assert accounted_for(output)
        output.close()
    counted = output.snapshot()
    assert set(counted["dropped"]) == {"nobody reads", "not written at close"}
    assert counted["held"] == 0
    assert accounted_for(output)
    assert 500 < counted["passed"] < 700  # what a pipe takes


def test_reader_goes_while_it_is_waited_for() -> None:
    """The chain is told to end, and what was queued is counted as dropped."""
    with ends("pipe") as (reader, writer):
        output = writing(writer)

        async def write() -> None:
            output.consume_many([LINE] * 10_000)
            asyncio.get_running_loop().call_later(0.05, os.close, reader)
            await output.drain()

        with pytest.raises(OutputClosedError):
            asyncio.run(write())
        counted = output.snapshot()
        assert counted["held"] == 0
        assert counted["dropped"]["closed"] + counted["passed"] == 10_000
        with pytest.raises(OutputClosedError):
            output.consume(b"more")
        output.close()


def test_number_of_another_file(tmp_path: Path) -> None:
    """Where somebody puts another file under the descriptor's number, that one is written, the queue included."""
    with ends("pipe") as (reader, writer):
        output = writing(writer)

        async def write() -> None:
            output.consume_many([LINE] * 2000)
            other = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
            os.dup2(other, writer)
            os.close(other)
            output.consume(b"last")
            await output.drain()

        asyncio.run(write())
        output.close()
        taken = os.read(reader, 1 << 20)
    found = (tmp_path / "out").read_bytes().splitlines()
    whole = taken.rpartition(b"\n")[0].splitlines()
    assert [*whole, *found] == [LINE] * 2000 + [b"last"]


def test_channel_to_files(tmp_path: Path) -> None:
    """A file and a device never stand still."""
    with (tmp_path / "file").open("wb") as file:
        assert not Channel(file.fileno()).may_stand
    with open(os.devnull, "wb") as device:  # noqa: PTH123 - a device
        assert not Channel(device.fileno()).may_stand


def test_pipe_gets_a_reader_and_another(tmp_path: Path) -> None:
    """A named pipe waits for its reader, and for the next one when that has gone: together they get all."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    output = FileOutput(filename=str(path), error=TestOutput())
    batch = [b"%06d" % n + b"x" * 94 for n in range(2000)]
    taken: list[bytes] = []

    async def run() -> None:
        output.consume_many(batch)
        assert output.held() == 2000
        output.reopen()  # SIGHUP changes nothing of it
        reader = await asyncio.to_thread(os.open, path, os.O_RDONLY)
        taken.append(await asyncio.to_thread(os.read, reader, 5000))
        os.close(reader)
        await asyncio.to_thread(wait_for, lambda: output._nobody)
        reader = await asyncio.to_thread(os.open, path, os.O_RDONLY)
        output.ending = True
        await asyncio.gather(output.drain(), asyncio.to_thread(take_all, reader, taken, 101 * 2000))
        os.close(reader)

    asyncio.run(asyncio.wait_for(run(), 20))
    output.close()
    assert b"".join(taken).splitlines() == batch
    assert output.snapshot()["passed"] == 2000
    assert [report["exception"] for report in output.error.messages] == [
        f"nobody reads the named pipe {str(path)!r} yet: messages wait until somebody does",
        f"whoever read the named pipe {str(path)!r} has gone: messages wait for another reader",
    ]


def test_what_is_lost_in_a_pipe_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, without a reader, what is queued is counted, and what the pipe itself has is reported."""
    monkeypatch.setattr(_descriptor, "WITHOUT_READER", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = FileOutput(filename=str(path), error=TestOutput())

    async def run() -> None:
        output.consume_many([LINE] * 1000)
        os.close(reader)
        output.ending = True
        await output.drain()

    asyncio.run(asyncio.wait_for(run(), 20))
    output.close()
    counted = output.snapshot()
    assert counted["dropped"] == {"not written at close": 1000 - counted["passed"]}
    lost = output.error.messages[-1]["exception"]
    number = int(lost.split()[0])
    assert (
        lost
        == f"{number} bytes that were written to the named pipe {str(path)!r} are lost: nobody has read them"
    )
    assert number // (len(LINE) + 1) == counted["passed"]


def test_stale_file_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file refuses that its server has lost is written to the one that has its name now."""
    path = tmp_path / "out"
    real = os.write
    stale: set[int] = set()

    def write(fd: int, data: Any) -> int:
        if fd in stale:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    output = FileOutput(filename=str(path), error=TestOutput())
    output.consume(b"one")
    path.rename(tmp_path / "lost")
    stale.add(output._fd)
    spare = os.dup(0)  # so that the new descriptor has another number
    monkeypatch.setattr(output, "_release", lambda: None)
    output.consume_many([b"two", b"three"])
    monkeypatch.undo()
    os.close(spare)
    for number in stale:
        os.close(number)
    output.close()
    assert path.read_bytes() == b"two\nthree\n"
    assert output.snapshot()["passed"] == 3
    assert output.error.messages == []


def unread(reader: Any) -> int:
    """How many bytes wait in a pipe."""
    size = array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, size)
    return size[0]


def feed(started: Node, count: int) -> threading.Thread:
    """Write so many lines to a node, at its pace, until it ends."""

    def write() -> None:
        with contextlib.suppress(OSError, ValueError):
            started.write((LINE + b"\n") * count)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def taken(started: Node) -> int:
    """How many bytes a node has read so far, its modules included (proc_pid_io(5))."""
    return int(Path(f"/proc/{started.process.pid}/io").read_text().split()[1])


def told(err: bytes) -> list[str]:
    """The lines on standard error, and reports as their sentence."""
    lines = untimed(err.decode()).splitlines()
    return [json.loads(line)["exception"] if line.startswith("{") else line for line in lines]


@pytest.mark.parametrize("reads", [False, True], ids=["nobody reads", "a reader stands still"])
def test_command_with_a_pipe_that_stands_still(tmp_path: Path, *, reads: bool) -> None:
    """It starts, says that nobody reads, obeys the first SIGTERM within seconds, and tells what was lost."""
    path, ready = tmp_path / "pipe", tmp_path / "pid"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if reads else -1
    words = ["--input", "STDIN", *part("output", "File", filename=str(path)), "--pid_file", str(ready)]
    try:
        with node(*words) as started:
            wait_for(lambda: ready.exists() and ready.read_bytes(), timeout=20)
            before = taken(started)
            feed(started, 3000)
            wait_for(
                lambda: unread(reader) > 60_000 if reads else taken(started) > before + 60_000, timeout=20
            )
            began = time.monotonic()
            status, _, err = started.stop()
            took = time.monotonic() - began
    finally:
        if reads:
            os.close(reader)
    assert status == 0
    assert took < 8
    said = told(err)
    if not reads:
        assert said[0] == f"nobody reads the named pipe {str(path)!r} yet: messages wait until somebody does"
    assert said[-1].endswith("not written at close")


def test_command_whose_standard_output_stands_still() -> None:
    """The first SIGTERM ends it within seconds, with every line written, or counted as lost."""
    with node("--input", "STDIN", "--decoder", "Null", "--output", "STDOUT") as started:
        assert started.process.stdout
        feed(started, 3000)
        wait_for(lambda: unread(started.process.stdout) > 60_000, timeout=20)
        began = time.monotonic()
        started.signal(15)
        started.process.wait(20)
        took = time.monotonic() - began
        out, err = started.process.communicate()
    assert took < 8
    assert started.process.returncode == 0
    (lost,) = told(err)
    number = int(lost.removeprefix("message-passing: output (STDOUT) lost ").split()[0])
    assert number > 0
    assert out.count(b"\n") + number < 3000  # the rest was not read
    assert lost.endswith("not written at close")


def test_command_whose_standard_error_stands_still() -> None:
    """Reports that nobody reads hold up neither the messages nor the end."""
    with node("--input", "STDIN", "--output", "STDOUT") as started:
        for _ in range(20):
            started.write(b'{"a":1}\n' + b"malformed " * 1000 + b"\n")
        assert started.process.stdout
        started.write(b"x\n" * 2000 + b'{"last":1}\n')
        found = b""
        while b"last" not in found:
            found = started.process.stdout.readline()
        began = time.monotonic()
        started.signal(15)
        assert started.process.wait(20) == 0
        assert time.monotonic() - began < 8


def test_a_slow_reader_gets_all_at_the_end_of_the_input() -> None:
    """Where no stop is asked for, the end waits for whoever still reads, as in any pipeline."""
    with node("--input", "STDIN", "--output", "STDOUT") as started:
        feeding = feed(started, 5000)
        assert started.process.stdin
        assert started.process.stdout
        wait_for(lambda: unread(started.process.stdout) > 60_000, timeout=20)
        found = [started.process.stdout.readline() for _ in range(4800)]
        feeding.join(20)
        started.process.stdin.close()
        found += started.process.stdout.readlines()
        assert started.process.wait(20) == 0
        started.process.stdin = None
    assert found == [LINE + b"\n"] * 5000
