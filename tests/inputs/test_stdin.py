"""Standard input: real pipes, files, terminals and processes."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from message_passing.errors import OpenError
from message_passing.inputs.stdin import StdinInput
from message_passing.testing import TestOutput, capture, free_port, run_input, running, wait_for
from nodes import OURS, part
from support import accounted_for

if TYPE_CHECKING:
    from collections.abc import Iterator


def reading(fd: int, **given: Any) -> StdinInput:
    """A STDIN input that reads another descriptor."""

    class Injected(StdinInput):
        """STDIN."""

    Injected.fd = fd
    return Injected(**given)


def received_from(fd: int, **given: Any) -> list[bytes]:
    """All messages from a descriptor, read to its end."""
    component = reading(fd, **given)
    arrived = capture(component)
    run_input(component)
    return arrived.messages


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose reading end is closed after the test; the test closes the writing end."""
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


def test_lines_of_a_pipe(pipe: tuple[int, int]) -> None:
    """Newlines separate messages, empty lines are none, `0` is one, and a carriage return stays."""
    reader, writer = pipe
    os.write(writer, b"one\n\n0\ntwo\r\n\xff\xfe\nlast")
    os.close(writer)
    assert received_from(reader) == [b"one", b"0", b"two\r", b"\xff\xfe", b"last"]


def test_file(tmp_path: Path) -> None:
    """A file, for which a loop cannot wait, is read to its end in bounded batches."""
    path = tmp_path / "input"
    lines = [b"line %d" % n for n in range(50_000)]
    path.write_bytes(b"\n".join(lines))
    with path.open("rb") as file:
        assert received_from(file.fileno()) == lines


def test_dev_null() -> None:
    """/dev/null ends at once, without a message."""
    with Path(os.devnull).open("rb") as file:
        assert received_from(file.fileno()) == []


def test_messages_arrive_before_the_end(pipe: tuple[int, int]) -> None:
    """A lone line travels alone, and half a line waits for its other half."""
    reader, writer = pipe
    component = reading(reader)
    arrived = capture(component)
    with running(component):
        os.write(writer, b"first\nhal")
        wait_for(lambda: arrived.messages == [b"first"])
        os.write(writer, b"f\n")
        wait_for(lambda: arrived.messages == [b"first", b"half"])
    os.close(writer)
    assert component.metrics.dropped == {}


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (b"whole\nha", {}),
        ("whole\nha".encode("utf-16"), {}),
        ("whole\nha".encode("utf-16-le") + b"x", {"encoding": "utf-16-le"}),
        (b"whole\n" + "hä".encode()[:2], {}),
    ],
)
def test_half_a_line_at_a_stop_is_no_message(
    pipe: tuple[int, int], data: bytes, given: dict[str, Any]
) -> None:
    """It would look like a whole one: it is counted as dropped."""
    reader, writer = pipe
    component = reading(reader, **given)
    arrived = capture(component)
    with running(component):
        os.write(writer, data)
        wait_for(lambda: arrived.messages == [b"whole"] and component._partial)
    os.close(writer)
    assert arrived.messages == [b"whole"]
    assert component.metrics.dropped == {"incomplete at stop": 1}
    assert component.metrics.received == 2


def test_a_line_that_is_too_long_is_counted_once(pipe: tuple[int, int]) -> None:
    """As failed, also where a stop comes before its end."""
    reader, writer = pipe
    component = reading(reader, max_line=3)
    capture(component)
    with running(component):
        os.write(writer, b"abcdef")
        wait_for(lambda: component.metrics.failed)
    os.close(writer)
    assert (component.metrics.received, component.metrics.failed) == (1, 1)
    assert component.metrics.dropped == {}


def test_one_input_alone_reads_standard_input(pipe: tuple[int, int]) -> None:
    """A second one that is opened is refused, and may read when the first is closed."""
    reader, writer = pipe
    os.write(writer, b"line\n")
    os.close(writer)
    first = reading(reader)
    capture(first)
    second = type(first)()
    capture(second)
    with first, pytest.raises(OpenError, match="another input of this process reads standard input"):
        second.open()
    third = type(first)()
    arrived = capture(third)
    run_input(third)
    assert arrived.messages == [b"line"]


@pytest.mark.parametrize("words", [["--configfile"], ["check"]])
def test_the_command_refuses_two(words: list[str], tmp_path: Path) -> None:
    """On a pipe, the one that did not see the end would wait for ever: it is a configuration error."""
    config = tmp_path / "two.toml"
    config.write_text(
        '[inputs.a]\nclass = "STDIN"\noutput_to = "out"\n'
        '[inputs.b]\nclass = "STDIN"\noutput_to = "out"\n[outputs.out]\nclass = "STDOUT"\n'
    )
    ended = subprocess.run(
        [sys.executable, "-m", "message_passing", *words, str(config)],
        input=b"1\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    said = (ended.stdout + ended.stderr).decode()
    assert "standard input is used by 'a' already, and only one component can use it" in said


def test_huge_line(pipe: tuple[int, int]) -> None:
    """A line of 100 MB is one message, where that is allowed."""
    reader, writer = pipe
    size = 100_000_000

    def write() -> None:
        with closing(os.fdopen(writer, "wb")) as file:
            file.write(b"x" * size)
            file.write(b"\nnext\n")

    thread = threading.Thread(target=write)
    thread.start()
    messages = received_from(reader, max_line=size)
    thread.join()
    assert [len(message) for message in messages] == [size, 4]


def test_terminal() -> None:
    """A terminal is read line by line, and its end is the end."""
    master, slave = pty.openpty()
    try:
        os.write(master, b"typed\n\x04")
        assert received_from(slave) == [b"typed"]
    finally:
        os.close(slave)
        os.close(master)


def test_terminal_hung_up() -> None:
    """A terminal that goes away is reported and ends the input."""
    master, slave = pty.openpty()
    try:
        component = reading(master)
        errors = component.error = TestOutput()
        os.close(slave)
        run_input(component)
        assert ["standard input" in report["exception"] for report in errors.messages] == [True]
    finally:
        os.close(master)


def test_stays_blocking(pipe: tuple[int, int]) -> None:
    """The descriptor's flags, which others share, are left alone."""
    reader, writer = pipe
    before = fcntl.fcntl(reader, fcntl.F_GETFL)
    os.close(writer)
    received_from(reader)
    assert fcntl.fcntl(reader, fcntl.F_GETFL) == before


def test_non_blocking_by_others(pipe: tuple[int, int]) -> None:
    """A descriptor that somebody else made non-blocking is waited for all the same."""
    reader, writer = pipe
    os.set_blocking(reader, False)
    component = reading(reader)
    arrived = capture(component)
    with running(component):
        os.write(writer, b"one\n")
        wait_for(lambda: arrived.messages == [b"one"])
        os.write(writer, b"two\n")
        wait_for(lambda: arrived.messages == [b"one", b"two"])
    os.close(writer)


def test_write_only(tmp_path: Path) -> None:
    """A descriptor that is open for writing only is the user's mistake, told at once."""
    with (tmp_path / "out").open("wb") as file, pytest.raises(OpenError, match="for writing only"):
        reading(file.fileno()).open()


def test_directory(tmp_path: Path) -> None:
    """So is a directory."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OpenError, match="directory"):
            reading(fd).open()
    finally:
        os.close(fd)


def test_closed() -> None:
    """A process that was started without standard input says so, whatever has its number by now."""
    program = "from message_passing.inputs.stdin import StdinInput; StdinInput().open()"
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 0<&-', sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OpenError: standard input is closed" in ran.stderr


def test_closed_descriptor() -> None:
    """A descriptor that was closed since is told apart from one that is empty."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(OpenError, match="standard input is closed"):
        reading(reader).open()


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (b'\xef\xbb\xbf{"a":"\xc3\xbc"}\nlast\n', {}),
        ('\ufeff{"a":"ü"}\nlast\n'.encode("utf-16-le"), {}),
        ('{"a":"ü"}\nlast'.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        ('{"a":"ü"}\nlast'.encode("latin-1"), {"encoding": "latin-1"}),
    ],
)
def test_encoding(pipe: tuple[int, int], data: bytes, given: dict[str, Any]) -> None:
    """Lines are UTF-8 whatever they were, and a byte-order mark is no part of the first."""
    reader, writer = pipe
    os.write(writer, data)
    os.close(writer)
    assert received_from(reader, **given) == ['{"a":"ü"}'.encode(), b"last"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_stop_reads_the_line_that_it_comes_in_to_its_end(pipe: tuple[int, int], encoding: str) -> None:
    """Half of it would be a message that nobody sent; what is behind it stays for whoever reads on."""
    reader, writer = pipe
    component = reading(reader, encoding=encoding)
    arrived = capture(component)
    first, rest, others = (text.encode(encoding) for text in ("one\ntw", "o\n", "three\n"))
    component.take(first[:-1])
    os.write(writer, first[-1:] + rest + others)
    component.stopped()
    assert arrived.messages == [b"one", b"two"]
    assert os.read(reader, 100) == others
    os.close(writer)


def test_a_line_that_goes_on_and_on_does_not_hold_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped and counted: what was read of it is no message."""
    monkeypatch.setattr("message_passing.inputs._reading._REST", 0.05)
    with Path("/dev/zero").open("rb", buffering=0) as endless:
        component = reading(endless.fileno(), encoding="utf-8")
        arrived = capture(component)
        component.take(b"whole\nbegun")
        component.stopped()
    assert arrived.messages == [b"whole"]
    assert component.metrics.dropped == {"incomplete at stop": 1}
    assert accounted_for(component)


def test_a_node_that_is_stopped_within_a_file_sends_no_half_line(tmp_path: Path) -> None:
    """PUSH waits for workers when the stop comes: the rest of the file is nobody's, and no line is malformed."""
    path = tmp_path / "jobs"
    path.write_text("".join(f'{{"number":{n},"text":"{"x" * (n % 50)}"}}\n' for n in range(30_000)))
    options = {"connect": f"tcp://127.0.0.1:{free_port()}", "socket_type": "PUSH", "linger": 0}
    words = [*OURS, "--input", "STDIN", *part("output", "ZeroMQ", **options)]
    with path.open("rb") as file, subprocess.Popen(words, stdin=file, stderr=subprocess.PIPE) as sender:
        try:
            wait_for(lambda: os.lseek(file.fileno(), 0, os.SEEK_CUR), timeout=20)
            sender.terminate()
            said = sender.communicate(timeout=10)[1]
        finally:
            sender.kill()
        at = os.lseek(file.fileno(), 0, os.SEEK_CUR)
    assert sender.returncode == 0
    assert b"unsent at close" in said
    assert b"malformed" not in said
    assert 0 < at < path.stat().st_size
    assert path.read_bytes()[at - 1 : at] == b"\n"
