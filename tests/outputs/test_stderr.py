"""Standard error, also when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from message_passing.outputs.stderr import StderrOutput
from message_passing.testing import TestOutput

if TYPE_CHECKING:
    import pytest


def writing(fd: int) -> StderrOutput:
    """A STDERR output that writes to another descriptor."""

    class Injected(StderrOutput):
        """STDERR."""

    Injected.fd = fd
    return Injected(error=TestOutput())


def test_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Each message is a line, after what was printed there before."""
    sys.stderr.write("printed ")
    StderrOutput().consume_many([b"one", "zwei"])
    assert capfdbinary.readouterr().err == b"printed one\nzwei\n"


def test_reader_has_gone() -> None:
    """A closed standard error is counted and nothing more: the chain goes on."""
    reader, writer = os.pipe()
    os.close(reader)
    output = writing(writer)
    output.consume_many([b"one", b"two"])
    os.close(writer)
    output.consume(b"three")  # by now the descriptor itself is closed
    assert output.snapshot()["dropped"] == {"closed": 3}
    assert output.error.messages == []


def test_full_device() -> None:
    """A full disk behind it is a failure."""
    fd = os.open("/dev/full", os.O_WRONLY)
    output = writing(fd)
    output.consume(b"one")
    os.close(fd)
    assert output.metrics.failed == 1
    assert "standard error" in output.error.messages[0]["exception"]


def test_closed_at_start() -> None:
    """A process without standard error writes to no other file that has its number by now."""
    program = """
import os, sys
from message_passing.outputs.stderr import StderrOutput
reader, writer = os.pipe()
assert 2 in (reader, writer)
output = StderrOutput()
output.consume(b"one")
assert output.snapshot()["dropped"] == {"closed": 1}
print("fine")
"""
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ran.stdout == "fine\n"
