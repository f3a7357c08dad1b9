"""A batch as one block of lines, and what of it was written."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_passing.codecs.json import checked_block, checked_lines
from message_passing.outputs import _lines
from message_passing.outputs._lines import as_block, unfinished, write_all
from message_passing.outputs.null import NullOutput
from message_passing.testing import TestOutput, wait_for


def test_bytes_and_text() -> None:
    """Bytes are written as they are, text as UTF-8, and neither emptiness nor bad text is a hindrance."""
    block, lines = as_block(NullOutput(), [b"\xff", "é", "", bytearray(b"0"), memoryview(b"m"), "\ud800"])
    assert lines == [b"\xff", "é".encode(), b"", b"0", b"m", b"\\ud800"]
    assert block == b"\n".join([*lines, b""])


def test_anything_else_needs_an_encoder() -> None:
    """An object is not written as its repr: it fails, alone, with a hint what is missing."""
    errors = TestOutput()
    component = NullOutput(error=errors)
    block, lines = as_block(component, [b"one", {"a": 1}, None, b"two"])
    assert (block, lines) == (b"one\ntwo\n", [b"one", b"two"])
    assert component.metrics.failed == 2
    (report,) = errors.messages
    assert "type dict cannot be written" in report["exception"]
    assert "put an encoder before" in report["exception"]
    assert report["count"] == 2


@given(st.lists(st.binary(max_size=4).filter(lambda line: b"\n" not in line), max_size=6), st.integers(0, 40))
def test_unfinished_lines(lines: list[bytes], written: int) -> None:
    """Written are those lines that a reader finds if the rest of the block never comes."""
    block = b"\n".join([*lines, b""])[:written] if lines else b""
    found = block.split(b"\n")
    if not found[-1]:
        found.pop()  # what is after the last newline is no line
    whole = [line for line, got in zip(lines, found, strict=False) if line == got]
    assert lines[len(whole) :] == unfinished(lines, len(block))


PARTS = st.sampled_from(
    [b"a", b"\n", b"\r", b"\v", b"\x1c", b"\xc2", b"\x85", b"\xe2", b"\x80", b"\xa8", b"\xe9"]
)


@given(st.lists(st.lists(PARTS, max_size=4).map(b"".join), max_size=4), st.sampled_from([b"\n", b"\r\n"]))
def test_a_large_block_and_a_small_one_are_written_alike(messages: list[bytes], end: bytes) -> None:
    """Whether the messages are looked at when joined once more, or their block is, the same is written."""
    with pytest.MonkeyPatch.context() as patch:
        small = as_block(NullOutput(), messages, end)
        patch.setattr(_lines, "_AT_A_GLANCE", -1)
        assert as_block(NullOutput(), messages, end) == small


TEXTS = st.lists(st.sampled_from(["a", "\u00e9", "\u2019", "\u2028", "\u2029", "\x85", "\u0445"]), max_size=3)


@given(st.lists(TEXTS.map("".join).map(lambda text: f'{{"a":"{text}"}}'.encode()), min_size=1, max_size=4))
def test_lines_that_a_decoder_has_checked_are_written_as_others_are(messages: list[bytes]) -> None:
    """What is not looked at again has no line break in it."""
    written, _ = as_block(NullOutput(), messages)
    assert len(written.decode().splitlines()) == len(messages)
    for lines in (checked_lines(messages), checked_block(b"".join(line + b"\n" for line in messages))):
        assert lines is not None
        assert lines == messages
        assert as_block(NullOutput(), lines)[0] == written


def test_waits_for_a_full_pipe() -> None:
    """On a non-blocking descriptor that is full, it waits for room, and loses nothing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1_000_000)
    results = []
    thread = threading.Thread(target=lambda: results.append(write_all(writer, data)))
    thread.start()
    received = b""
    while len(received) < len(data):
        received += os.read(reader, 65536)
    wait_for(lambda: results)
    thread.join()
    os.close(reader)
    os.close(writer)
    assert received == data
    assert results == [(len(data), None)]


def test_says_how_far_it_came() -> None:
    """A reader that goes away is returned with the number of bytes that it had room for."""
    reader, writer = os.pipe()
    os.close(reader)
    written, error = write_all(writer, b"data")
    os.close(writer)
    assert written == 0
    assert isinstance(error, BrokenPipeError)
