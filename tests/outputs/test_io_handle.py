"""Python file objects of all kinds."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import socket
import tempfile
from pathlib import Path
from typing import IO, Any

import pytest

from message_passing.errors import OpenError, OptionError
from message_passing.outputs.io_handle import IOHandleOutput
from message_passing.testing import TestOutput

MESSAGES: list[Any] = [b"one", "zw\u00f6lf", b"", b"0"]
LINES = "one\nzwölf\n\n0\n".encode()


def to_handle(fh: Any, **given: Any) -> IOHandleOutput:
    """An IO::Handle output with an error chain to look at."""
    return IOHandleOutput(fh=fh, error=TestOutput(), **given)


@pytest.mark.parametrize(
    "opened",
    [
        lambda path: path.open("w", encoding="utf-8"),
        lambda path: path.open("wb"),
        lambda path: path.open("wb", buffering=0),
        lambda path: codecs.getwriter("utf-8")(path.open("wb")),
        lambda path: tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False),  # noqa: SIM115
    ],
    ids=["text", "binary", "raw", "codecs", "wrapped"],
)
def test_text_and_binary(tmp_path: Path, opened: Any) -> None:
    """The same lines are written to text, binary and unbuffered handles, at once."""
    handle: IO[Any] = opened(tmp_path / "out")
    output = to_handle(handle)
    output.consume_many(MESSAGES)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == LINES
    output.close()
    assert not handle.closed
    handle.close()
    assert output.error.messages == []


def test_gzip(tmp_path: Path) -> None:
    """A handle that does something to what is written is a handle too."""
    with gzip.open(tmp_path / "out.gz", "wb") as handle:
        to_handle(handle).consume_many(MESSAGES)
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == LINES


@pytest.mark.parametrize("append", ["", "\r\n", "é"])
def test_append(append: str) -> None:
    """`append` follows each message."""
    handle = io.StringIO(newline="")
    to_handle(handle, append=append).consume_many([b"one", b"two"])
    assert handle.getvalue() == f"one{append}two{append}"


def test_anything_with_write() -> None:
    """An object of one's own is enough, and is asked only once whether it takes bytes."""
    written: list[str] = []

    class Mine:
        def write(self, text: str) -> None:
            if not isinstance(text, str):
                raise TypeError
            written.append(text)

    output = to_handle(Mine())
    output.consume_many([b"one"])
    output.consume("two")
    assert written == ["one\n", "two\n"]


def test_narrow_encoding() -> None:
    """Characters that a text handle's encoding lacks are spelt out."""
    raw = io.BytesIO()
    handle = io.TextIOWrapper(raw, encoding="ascii")
    to_handle(handle).consume_many([b"one", "zw\u00f6lf"])
    assert raw.getvalue() == b"one\nzw\\xf6lf\n"


def test_bytes_that_are_no_text() -> None:
    """Bytes that are not UTF-8 are spelt out on a text handle, and are themselves on a binary one."""
    text, binary = io.StringIO(), io.BytesIO()
    to_handle(text).consume(b"\xff")
    to_handle(binary).consume(b"\xff")
    assert (text.getvalue(), binary.getvalue()) == ("\\xff\n", b"\xff\n")


def test_short_writes() -> None:
    """An unbuffered handle that takes only part of a batch is given the rest."""
    reader, writer = socket.socketpair()
    received = bytearray()

    class Sip(io.RawIOBase):
        def write(self, data: Any) -> int:
            return writer.send(bytes(data[:3]))

    with reader, writer:
        to_handle(Sip()).consume_many([b"a long line", b"two"])
        received += reader.recv(100)
    assert received == b"a long line\ntwo\n"


def test_failing_write() -> None:
    """A handle that cannot write is a report and counted; the next batch is tried."""
    with Path("/dev/full").open("wb", buffering=0) as handle:
        output = to_handle(handle)
        output.consume_many([b"one", b"two"])
        output.consume(b"three")
    assert output.metrics.failed == 3
    assert [report["exception"] for report in output.error.messages] == [
        "[Errno 28] No space left on device"
    ] * 2


def test_full_pipe() -> None:
    """An unbuffered, non-blocking handle that is full fails what it does not take."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(writer, "wb", buffering=0) as handle, os.fdopen(reader, "rb"):
        output = to_handle(handle)
        output.consume(b"x" * 1_000_000)
        assert output.metrics.failed == 1


def test_closed_handle() -> None:
    """A closed handle is an OpenError."""
    for handle in (io.StringIO(), io.BytesIO()):
        handle.close()
        with pytest.raises(OpenError, match="closed"):
            to_handle(handle).open()


def test_no_handle() -> None:
    """Something without `write` is refused."""
    with pytest.raises(OptionError, match=r"'fh' must have a `write` method, not 'out\.log'"):
        to_handle("out.log")


def test_not_text() -> None:
    """An object fails with a hint, and its neighbours are written."""
    handle = io.BytesIO()
    output = to_handle(handle)
    output.consume_many([b"one", 1, b"two"])
    assert handle.getvalue() == b"one\ntwo\n"
    assert output.metrics.failed == 1
