"""How the command ends: the end of its input, signals, readers that go away, inputs that fail."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.testing import free_port, wait_for
from nodes import OURS, Node, lines, node, part, wait_for_port

COUNT = 20_000

MINE = '''
import asyncio, itertools, os
from message_passing import Filter, Input

class Failing(Input):
    """Fails after two messages."""
    async def run(self):
        self.emit([b'{"n":1}', b'{"n":2}'])
        await asyncio.sleep(0)
        raise ConnectionError("the source has gone")

class Taking(Input):
    """Holds what it has taken until it is stopped."""
    async def run(self):
        os.write(1, b"taken\\n")
        await asyncio.Event().wait()
    def stopped(self):
        self.emit([b'{"held":%d}' % n for n in range(3)])

class Busy(Filter):
    """Never comes back."""
    def filter(self, message):
        os.write(1, b"busy\\n")
        for _ in itertools.count():
            pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, with components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def numbered(count: int) -> bytes:
    """That many messages, a line each."""
    return b"".join(b'{"n":%d}\n' % n for n in range(count))


@pytest.mark.parametrize("source", ["pipe", "file", "/dev/null"])
def test_the_end_of_stdin_ends_it_with_everything_passed_on(tmp_path: Path, source: str) -> None:
    """Whatever standard input is; a last line needs no newline."""
    text = numbered(COUNT) + b'{"last":true}'
    expected = text + b"\n"
    if source == "pipe":
        done = finished(*STDIN_TO_STDOUT, given=text)
    else:
        path = tmp_path / "lines"
        path.write_bytes(text)
        with path.open("rb") if source == "file" else open(os.devnull, "rb") as file:  # noqa: PTH123
            done = finished(*STDIN_TO_STDOUT, given=file)
        expected = expected if source == "file" else b""
    assert done == (0, expected, "")


@pytest.mark.parametrize("types", [("PUB", "SUB"), ("PUSH", "PULL")], ids="-".join)
@pytest.mark.parametrize("source", ["pipe", "file"])
def test_everything_is_delivered_to_a_receiver_that_is_there(
    tmp_path: Path, types: tuple[str, str], source: str
) -> None:
    """All of it is in the receiver's file once the sender has ended by itself."""
    port, arrived = free_port(), tmp_path / "arrived"
    here, there = {"connect": f"tcp://127.0.0.1:{port}"}, {"socket_bind": f"tcp://127.0.0.1:{port}"}
    receiver = [
        *part("input", "ZeroMQ", socket_type=types[1], **there),
        *part("output", "File", filename=str(arrived)),
    ]
    sender = ["--input", "STDIN", *part("output", "ZeroMQ", socket_type=types[0], **here)]
    with node(*receiver) as receiving:
        wait_for_port(port)
        if source == "pipe":
            done = finished(*sender, given=numbered(COUNT))
        else:
            (tmp_path / "lines").write_bytes(numbered(COUNT))
            with (tmp_path / "lines").open("rb") as file:
                done = finished(*sender, given=file)
        assert done == (0, b"", "")
        wait_for(lambda: len(lines(arrived)) >= COUNT)
        assert receiving.stop() == (0, b"", b"")
    assert arrived.read_bytes() == numbered(COUNT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_after_passing_on_what_was_taken(folder: Path, number: int) -> None:
    """Status 0, and what the input still held is in the file."""
    words = ["--input", "+mine:Taking", *part("output", "File", filename="out")]
    with node(*words, cwd=folder) as started:
        assert started.process.stdout
        assert started.process.stdout.readline() == b"taken\n"
        started.signal(number)
        assert started.end() == (0, b"", b"")
    assert lines(folder / "out") == [b'{"held":0}', b'{"held":1}', b'{"held":2}']


def unread(started: Node) -> int:
    """Bytes that it has not read from its standard input (FIONREAD in pipe(7))."""
    assert started.process.stdin
    amount = array.array("i", [0])
    fcntl.ioctl(started.process.stdin, termios.FIONREAD, amount)
    return amount[0]


def test_a_signal_while_stdin_is_silent(folder: Path) -> None:
    """What was read goes on, also the beginning of a line."""
    with node("--input", "STDIN", *part("output", "File", filename="out"), cwd=folder) as started:
        started.write(b'{"n":1}\n')
        wait_for(lambda: lines(folder / "out"))
        started.write(b'{"n":2}')
        wait_for(lambda: unread(started) == 0, timeout=20)
        status, out, err = started.stop()
    assert (status, out, err) == (0, b"", b"")
    assert lines(folder / "out") == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(folder: Path, number: int) -> None:
    """Even while a filter is busy in a loop that does not end. Two at the same moment are one."""
    with node(*STDIN_TO_STDOUT, "--filter", "+mine:Busy", cwd=folder) as started:
        started.write(b"{}\n")
        assert started.process.stdout
        assert started.process.stdout.readline() == b"busy\n"

        def has_ended() -> bool:
            started.signal(number)
            return started.process.poll() is not None

        wait_for(has_ended)
        assert started.process.returncode == 128 + number


def test_a_signal_that_comes_twice_at_once_is_one(tmp_path: Path) -> None:
    """As timeout(1) sends it: to the process, and to its group."""
    words = [*OURS, "--input", "STDIN", *part("output", "File", filename=str(tmp_path / "out"))]
    process = subprocess.Popen(
        ["timeout", "2", *words],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(b'{"n":1}\n{"n":2}\n')
    process.stdin.flush()
    wait_for(lambda: lines(tmp_path / "out"))
    process.send_signal(signal.SIGTERM)  # it does with this what it does when the time is over
    assert process.wait(10) == 0
    process.stdin.close()
    assert lines(tmp_path / "out") == [b'{"n":1}', b'{"n":2}']


def test_sighup_reopens_the_file_and_loses_nothing(folder: Path) -> None:
    """Logrotate's way, several times, while lines keep coming."""
    out, words = folder / "out", ["--input", "STDIN", *part("output", "File", filename="out")]
    with node(*words, cwd=folder) as started:
        written = 0

        def write_some() -> None:
            nonlocal written
            started.write(b"".join(b'{"n":%d}\n' % n for n in range(written, written + 100)))
            written += 100

        for turn in range(3):
            write_some()
            wait_for(lambda: lines(out))
            out.rename(folder / f"out.{turn}")
            started.signal(signal.SIGHUP)

            def is_reopened() -> bool:
                write_some()
                return bool(lines(out))

            wait_for(is_reopened)
        assert started.end() == (0, b"", b"")
    found = b"".join((folder / name).read_bytes() for name in ("out.0", "out.1", "out.2", "out"))
    assert found == numbered(written)


def test_sighup_reopens_the_file_of_an_error_chain(folder: Path) -> None:
    """It is logrotate's business too."""
    errors = folder / "errors"
    with node(*STDIN_TO_STDOUT, *part("error", "File", filename="errors"), cwd=folder) as started:
        wait_for(errors.exists)
        errors.rename(folder / "old")
        started.write(b'{"n":1}\n')
        assert started.process.stdout
        assert started.process.stdout.readline()
        started.signal(signal.SIGHUP)
        wait_for(errors.exists)
        started.write(b"x\n")
        assert started.end()[0] == 0
    assert (len(lines(errors)), lines(folder / "old")) == (1, [])


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`| head -1`: no traceback, no complaint."""
    words = " ".join([*OURS, *STDIN_TO_STDOUT])
    done = finished("-c", f"yes '{{}}' | {words} | head -1; echo ${{PIPESTATUS[1]}}", command=("bash",))
    assert done.out == b"{}\n0\n"
    assert [line for line in done.told if "lost" not in line] == []
    done = finished("-c", f"{words} --help | true; echo ${{PIPESTATUS[0]}}", command=("bash",))
    assert done == (0, b"0\n", "")


def test_an_input_that_fails_ends_it_with_status_1(folder: Path) -> None:
    """What it had emitted is passed on; why it failed is told in the error chain and in words."""
    words = ["--input", "+mine:Failing", "--output", "STDOUT", *part("error", "File", filename="errors")]
    done = finished(*words, cwd=folder)
    assert done.status == 1
    assert done.out == b'{"n":1}\n{"n":2}\n'
    assert done.told == ["message-passing: input (Failing) failed: ConnectionError: the source has gone"]
    (report,) = lines(folder / "errors")
    assert b'"class":"ConnectionError"' in report


def test_standard_error_may_be_closed(folder: Path) -> None:
    """Nobody can be told, which changes nothing else."""
    words = [*OURS, "--input", "+mine:Failing", "--output", "STDOUT"]
    done = finished("-c", f"{' '.join(words)} 2>&-", command=("bash",), cwd=folder)
    assert done == (1, b'{"n":1}\n{"n":2}\n', "")
    done = finished("-c", f"{' '.join([*OURS, '--nonsense'])} 2>&-", command=("bash",), cwd=folder)
    assert done == (2, b"", "")


def test_systemd_is_told(folder: Path) -> None:
    """READY=1 when the chain is open, STOPPING=1 when it ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(20)
        env = {"NOTIFY_SOCKET": str(folder / "notify")}
        with node(
            "--input", "STDIN", *part("output", "File", filename="out"), cwd=folder, env=env
        ) as started:
            assert systemd.recv(100) == b"READY=1"
            assert (folder / "out").exists()
            started.signal(signal.SIGTERM)
            assert systemd.recv(100) == b"STOPPING=1"
            assert started.end()[0] == 0


def test_interrupted_before_it_runs(folder: Path) -> None:
    """Ctrl-C during the start is no traceback either."""
    (folder / "slow.py").write_text("import os\nos.write(1, b'here\\n')\nwhile True:\n    pass\n")
    # What a shell starts in the background ignores SIGINT, and so would this if the tests were started so.
    command = ("env", "--default-signal=INT", *OURS)
    with node(*STDIN_TO_STDOUT, "--filter", "+slow:Filter", cwd=folder, command=command) as started:
        assert started.process.stdout
        assert started.process.stdout.readline() == b"here\n"
        started.signal(signal.SIGINT)
        assert started.end() == (128 + signal.SIGINT, b"", b"")


def test_a_fault_of_the_program_itself_is_told_in_full(tmp_path: Path) -> None:
    """Status 1, with the traceback that its author needs."""
    program = """if True:
        from message_passing.cli.script import Script
        class Mine(Script):
            def build_chain(self):
                return 1 / 0
        Mine.start([])
    """
    done = finished(command=(sys.executable, "-W", "error", "-c", program), cwd=tmp_path)
    assert (done.status, done.out) == (1, b"")
    assert done.told[0].startswith("Traceback")
    assert done.told[-1] == "ZeroDivisionError: division by zero"


UNSENT = {
    "ZeroMQ": [
        "--output",
        "ZeroMQ",
        "--output_options",
        '{"connect": "tcp://127.0.0.1:PORT", "linger": 100}',
    ],
    "network": [
        "--output",
        "+http_lines:HTTPLines",
        "--output_options",
        '{"url": "http://127.0.0.1:PORT/", "flush_timeout": 0.1}',
    ],
    "workers": ["--workers", "1", "--output", "ZeroMQ", "--output_options", "connect=tcp://127.0.0.1:PORT"],
}


@pytest.mark.parametrize("which", UNSENT)
def test_losses_at_the_end_are_in_the_last_line_and_change_no_status(which: str) -> None:
    """Whatever buffers them, what could not be sent is counted there by component and reason."""
    words = [word.replace("PORT", str(free_port())) for word in UNSENT[which]]
    examples = Path(__file__).parents[2] / "examples"
    done = finished("--input", "STDIN", *words, given=b"{}\n{}\n{}\n", cwd=examples)
    assert done.status == 0
    assert any("lost 3 messages: 3 unsent at close" in line for line in done.err.splitlines()[-2:])


LATE = """
import atexit, os, signal

def late():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    print("ended", flush=True)

atexit.register(late)  # the first that is registered runs last
from message_passing.cli.main import main
main()
"""


@pytest.mark.parametrize("name", ["STDOUT", "Test"])
def test_a_signal_that_comes_while_python_ends_changes_nothing(name: str) -> None:
    """All is written by then: the status is that of the run, and no traceback."""
    ran = subprocess.run(
        [sys.executable, "-c", LATE, "--input", "STDIN", "--output", name],
        input=b'{"n":1}\n',
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.endswith(b"ended\n")
