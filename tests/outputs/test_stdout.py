"""Standard output of real processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from message_passing.errors import OpenError, OutputClosedError
from message_passing.outputs.stdout import StdoutOutput
from message_passing.testing import TestOutput


def writing(fd: int) -> StdoutOutput:
    """A STDOUT output that writes to another descriptor."""

    class Injected(StdoutOutput):
        """STDOUT."""

    Injected.fd = fd
    return Injected(error=TestOutput())


def test_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Each message is a line, at once, after what was printed before."""
    output = StdoutOutput()
    print("printed", end=" ")  # noqa: T201 - that is what it must not overtake
    output.consume_many([b"one", "zwei", b"", b"0"])
    assert capfdbinary.readouterr().out == b"printed one\nzwei\n\n0\n"
    output.consume(b"next")
    assert capfdbinary.readouterr().out == b"next\n"
    output.close()


def test_one_write_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch costs one system call."""
    calls: list[bytes] = []

    def write(_fd: int, data: memoryview) -> int:
        calls.append(bytes(data))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    StdoutOutput().consume_many([b"x"] * 1000)
    monkeypatch.undo()
    assert calls == [b"x\n" * 1000]


def test_reader_has_gone() -> None:
    """When nobody reads any more, the chain is told to end, and the batch is counted as dropped."""
    reader, writer = os.pipe()
    os.close(reader)
    output = writing(writer)
    with pytest.raises(OutputClosedError):
        output.consume_many([b"one", b"two"])
    os.close(writer)
    assert output.snapshot()["dropped"] == {"closed": 2}
    assert output.error.messages == []


def test_full_device() -> None:
    """A full disk behind standard output is a failure with a report, and the chain goes on."""
    fd = os.open("/dev/full", os.O_WRONLY)
    output = writing(fd)
    output.consume_many([b"one", b"two"])
    os.close(fd)
    assert output.metrics.failed == 2
    (report,) = output.error.messages
    assert report["exception"] == "[Errno 28] No space left on device: 'standard output'"


def test_closed_at_start() -> None:
    """A process that was started without standard output says so, whatever has its number by now."""
    program = "from message_passing.outputs.stdout import StdoutOutput; StdoutOutput().open()"
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 1>&-', sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OpenError: standard output is closed" in ran.stderr


def test_open_for_reading_only() -> None:
    """Each message would fail: it is refused when it is opened."""
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        with pytest.raises(OpenError, match="standard output is open for reading only"):
            writing(fd).open()
    finally:
        os.close(fd)


def test_head() -> None:
    """A real `head` gets its lines, and the process ends by OutputClosedError instead of a signal."""
    program = """
from message_passing.errors import OutputClosedError
from message_passing.outputs.stdout import StdoutOutput
import sys
output = StdoutOutput()
try:
    while True:
        output.consume_many([b"line"] * 1000)
except OutputClosedError:
    sys.exit(7)
"""
    ran = subprocess.run(
        ["/bin/sh", "-c", '{ "$0" -c "$1"; echo $? >&2; } | head -n 2', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("line\nline\n", "7\n")
