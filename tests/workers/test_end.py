"""How a command with workers ends: signals, readers that go away, and a parent that is killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock, PropertyMock

import pytest

from commands import STDIN_TO_STDOUT, finished
from message_passing.declaration import Declaration
from message_passing.filters.null import NullFilter
from message_passing.stopping import StopRequest
from message_passing.testing import free_port, wait_for
from message_passing.workers.pool import Pool
from message_passing.workers.pooled_chain import MOST_WORKERS
from nodes import OURS, lines, node, part, wait_for_port
from support import Kept, untimed

if TYPE_CHECKING:
    from collections.abc import Iterator

MINE = '''
import itertools, os, time
from message_passing import Filter

class Slow(Filter):
    """Takes a moment for each."""
    def filter(self, message):
        time.sleep(0.005)
        return message

class Busy(Filter):
    """Never comes back from certain messages."""
    def filter(self, message):
        if message.get("busy"):
            os.write(1, b"busy\\n")
            for _ in itertools.count():
                pass
        return message
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, with components of ours."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def numbered(count: int) -> bytes:
    """That many messages, a line each."""
    return b"".join(b'{"n":%d}\n' % n for n in range(count))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def nobody_left(pids: list[int], folder: Path) -> bool:
    """Whether these processes are gone, and their sockets."""
    return not any(map(is_alive, pids)) and not list((folder / "tmp").iterdir())


def test_a_worker_that_is_not_ready_at_the_end_is_no_trouble() -> None:
    """It is killed, and nobody is told that it died, though it said that it is ready just before."""
    part = Declaration("filter", "part", "Null", {}, output_to=("output",))
    errors = Kept()
    pool = Pool(count=1, parts=[part], members={"part": NullFilter()}, output_to=Kept(), error=errors)
    with pool:
        supervisor = pool._supervisor
        (first,) = supervisor.living
        first.kill()
        assert supervisor.collect() == [first]
        assert supervisor.replace(at_once=True) == []
        (second,) = supervisor.living
        wait_for(lambda: supervisor._gather.poll(0), timeout=20)  # it is ready, and nobody has heard it
        assert not second.ready
    assert second.has_ended()
    assert errors.messages == []


def test_a_stop_while_workers_are_started() -> None:
    """No more are started, and those that were are gone at once, however many were asked for."""
    part = Declaration("filter", "part", "Null", {}, output_to=("output",))
    pool = Pool(count=MOST_WORKERS, parts=[part], members={"part": NullFilter()}, output_to=Kept())
    pool.stop_request = Mock(spec=StopRequest)
    type(pool.stop_request).asked = PropertyMock(side_effect=chain((False, False), repeat(True)))
    with pool:
        assert len(pool._supervisor.living) == 2
    assert pool._supervisor.living == []


@contextlib.contextmanager
def running(*words: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command with two workers, in a process group of its own; it has taken a first message."""
    process = subprocess.Popen(
        [*OURS, "--input", "STDIN", *part("output", "File", filename="out"), "--workers", "2", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        process_group=0,
    )
    try:
        assert process.stdin
        process.stdin.write(b'{"first":true}\n')
        process.stdin.flush()
        wait_for(lambda: lines(folder / "out"), timeout=20)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("to", ["parent", "group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_was_taken_through(folder: Path, number: int, to: str) -> None:
    """Also when it is sent to all processes, as a terminal does with Ctrl-C and systemd at a stop."""
    with running("--filter", "+mine:Slow", folder=folder) as process:
        assert process.stdin
        workers = children(process.pid)
        process.stdin.write(numbered(500))
        process.stdin.flush()
        wait_for(lambda: len(lines(folder / "out")) > 20, timeout=20)
        began = time.monotonic()
        (os.killpg if to == "group" else os.kill)(process.pid, number)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10
        assert process.stderr
        assert process.stderr.read() == b""
        assert nobody_left(workers, folder)
    messages = [json.loads(line) for line in lines(folder / "out")]
    assert sorted(message["n"] for message in messages[1:]) == list(range(500))


def test_a_stop_with_a_slow_filter_and_a_pipe_that_stands_still(folder: Path) -> None:
    """Its bounds add up to less than what the shipped unit gives it, and what is left is counted."""
    text = "x" * 1000
    (folder / "in").write_text("".join(f'{{"n":{n},"text":"{text}"}}\n' for n in range(3000)))
    words = [*STDIN_TO_STDOUT, "--workers", "2", "--filter", "+mine:Slow"]
    reader, writer = os.pipe()
    with (
        (folder / "in").open("rb") as given,
        subprocess.Popen(
            [*OURS, *words], stdin=given, stdout=writer, stderr=subprocess.PIPE, cwd=folder
        ) as process,
    ):
        os.close(writer)
        try:
            wait_for(lambda: _waiting(reader) > 60_000, timeout=20)
            began = time.monotonic()
            process.terminate()
            said = process.communicate(timeout=15)[1]
            took = time.monotonic() - began
        finally:
            process.kill()
            os.close(reader)
    assert (process.returncode, took < 9) == (0, True), (took, said)
    assert b"not started at stop" in said
    assert b"not written at close" in said


def _waiting(reader: int) -> int:
    """Bytes that a pipe has."""
    return int.from_bytes(fcntl.ioctl(reader, termios.FIONREAD, bytes(4)), sys.byteorder)


def give(process: subprocess.Popen[bytes], messages: bytes) -> None:
    """Write messages to its standard input."""
    assert process.stdin
    process.stdin.write(messages)
    process.stdin.flush()


def keep_busy(process: subprocess.Popen[bytes]) -> list[int]:
    """Give a worker a message with which it is never done; the process ids of all."""
    workers = children(process.pid)
    give(process, b'{"busy":true}\n')
    assert process.stdout
    assert process.stdout.readline() == b"busy\n"
    return workers


def test_a_second_signal_leaves_at_once_and_nobody_behind(folder: Path) -> None:
    """Whatever the workers do."""
    with running("--filter", "+mine:Busy", folder=folder) as process:
        workers = keep_busy(process)

        def has_ended() -> bool:
            process.terminate()
            return process.poll() is not None

        wait_for(has_ended, timeout=3)
        assert process.returncode == 128 + signal.SIGTERM
        wait_for(lambda: nobody_left(workers, folder), timeout=10)


def test_a_worker_that_never_comes_back_is_not_waited_for(folder: Path) -> None:
    """After a signal it has five seconds; what it held is counted, and all else is delivered."""
    with running("--filter", "+mine:Busy", folder=folder) as process:
        workers = keep_busy(process)
        give(process, b'{"after":true}\n')
        wait_for(lambda: len(lines(folder / "out")) == 2, timeout=20)
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert nobody_left(workers, folder)
    told = untimed(err.decode()).splitlines()
    assert any("had returned nothing for 5 s and was killed" in line for line in told)
    assert told[-1] == "message-passing: workers (Pool) lost 1 message: 1 in a worker that died"


def test_the_parent_is_killed(folder: Path) -> None:
    """With kill -9: the workers notice, also busy ones, and take the sockets with them."""
    with running("--filter", "+mine:Busy", folder=folder) as process:
        workers = keep_busy(process)
        assert len(workers) == 2
        process.kill()
        wait_for(lambda: nobody_left(workers, folder), timeout=10)


def test_sighup_reopens_the_file(folder: Path) -> None:
    """Sent to all processes, as a terminal does: no worker dies of it."""
    with running(folder=folder) as process:
        assert process.stdin
        workers = children(process.pid)
        (folder / "out").rename(folder / "old")
        os.killpg(process.pid, signal.SIGHUP)
        wait_for((folder / "out").exists, timeout=10)
        process.stdin.write(b'{"second":true}\n')
        process.stdin.flush()
        wait_for(lambda: lines(folder / "out"), timeout=10)
        assert children(process.pid) == workers
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert (lines(folder / "old"), lines(folder / "out")) == ([b'{"first":true}'], [b'{"second":true}'])


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`| head -1`, with workers."""
    words = " ".join([*OURS, *STDIN_TO_STDOUT, "--workers", "2"])
    done = finished("-c", f"yes '{{}}' | {words} | head -1; echo ${{PIPESTATUS[1]}}", command=("bash",))
    assert done.out == b"{}\n0\n"
    assert [line for line in done.told if "lost" not in line] == []


def test_a_slow_output_holds_up_the_input(folder: Path) -> None:
    """Nothing is lost between a fast sender and a slow reader: the pressure goes up through the workers."""
    reader = "import sys, time\nfor n, line in enumerate(sys.stdin):\n    n % 1000 or time.sleep(0.05)\nprint(n + 1)"
    (folder / "reader.py").write_text(reader)
    words = " ".join([*OURS, *STDIN_TO_STDOUT, "--workers", "2"])
    command = f"seq 50000 | sed 's/.*/{{\"n\":&}}/' | {words} | {sys.executable} reader.py"
    assert finished("-c", command, command=("bash",), cwd=folder, timeout=60) == (0, b"50000\n", "")


def test_systemd_and_a_pid_file(folder: Path) -> None:
    """READY=1 comes when the workers are ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(20)
        env = {"NOTIFY_SOCKET": str(folder / "notify")}
        words = [*STDIN_TO_STDOUT, "--workers", "2", "--pid_file", "pid"]
        with node(*words, cwd=folder, env=env) as started:
            assert systemd.recv(100) == b"READY=1"
            assert int((folder / "pid").read_text()) == started.process.pid
            assert len(children(started.process.pid)) == 2
            started.signal(signal.SIGTERM)
            assert systemd.recv(100) == b"STOPPING=1"
            assert started.end() == (0, b"", b"")
    assert not (folder / "pid").exists()


def test_as_a_daemon(folder: Path) -> None:
    """The workers belong to the process in the background, and end with it."""
    port = free_port()
    words = [
        *part("input", "ZeroMQ", socket_bind=f"tcp://127.0.0.1:{port}"),
        *part("output", "File", filename="out"),
        *("--workers", "2", "--daemonize", "--pid_file", "pid"),
    ]
    (folder / "told").touch()
    with (folder / "told").open("wb") as told:
        done = subprocess.run(
            [*OURS, *words],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            cwd=folder,
            timeout=30,
            check=False,
        )
    assert (done.returncode, (folder / "told").read_bytes()) == (0, b"")
    pid = int((folder / "pid").read_text())
    try:
        workers = children(pid)
        assert len(workers) == 2
        wait_for_port(port)
        sender = ["--input", "STDIN", *part("output", "ZeroMQ", connect=f"tcp://127.0.0.1:{port}")]
        assert finished(*sender, given=numbered(100))[0] == 0
        wait_for(lambda: len(lines(folder / "out")) == 100, timeout=20)
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not any(map(is_alive, [pid, *workers])), timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
