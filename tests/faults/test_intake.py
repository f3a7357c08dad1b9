"""Peers that send more than they may, in ways that ZeroMQ's own limits let through: memory stays in its bound."""

from __future__ import annotations

import itertools
import json
import re
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from faulty import soon
from message_passing.testing import free_port, wait_for
from nodes import lines, node, part, wait_for_port
from zmtp import COMMAND, LONG, MORE, dial, frame, greeting, hello, meet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nodes import Node

MIB = 1 << 20
BOUND = 64 * MIB
ALLOWANCE = 128 * MIB
"""What may come between two looks at the memory, on a fast network and a busy machine."""

BIG = frame(bytes(MIB), MORE)
EMPTY = frame(b"", MORE) * (MIB // 4)
SHORT = frame(b"x" * 40, MORE) * 20_000

SLOW = '''
import time
from pathlib import Path
from message_passing import Filter

class Standing(Filter):
    """Stands still while a file is there."""
    def filter(self, message):
        while Path("stand").exists():
            time.sleep(0.01)
        return message
'''


def status(process_id: int, name: str) -> int:
    """Bytes that the system says of a process (proc_pid_status(5))."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{process_id}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


class Victim:
    """A receiver, and what it costs to attack it."""

    def __init__(self, started: Node, port: int, arrived: Path) -> None:
        self.port = port
        self.arrived = arrived
        self._id = started.process.pid
        self._started = started
        self._before = status(self._id, "VmHWM")

    def grown(self) -> int:
        """By how many bytes it was ever larger than at its start."""
        return status(self._id, "VmHWM") - self._before

    def now(self) -> int:
        """How many bytes it has now."""
        return status(self._id, "VmRSS")

    def end(self) -> str:
        """What it tells at its end."""
        code, _, err = self._started.stop(30)
        assert code == 0
        return err.decode()


@contextmanager
def victim(
    folder: Path, kind: str = "PULL", port: int = 0, where: str = "socket_bind", **options: Any
) -> Iterator[Victim]:
    """One that runs, and writes what arrives in a file."""
    (folder / "mine.py").write_text(SLOW)
    port, arrived = port or free_port(), folder / "arrived"
    given = {where: f"tcp://127.0.0.1:{port}", "socket_type": kind, "queue_bytes": BOUND, **options}
    words = [
        *part("input", "ZeroMQ", **given),
        *("--decoder", "Null", "--filter", "+mine:Standing", "--encoder", "Null"),
        *part("output", "File", filename=str(arrived)),
    ]
    with node(*words, cwd=folder) as started:
        if where == "socket_bind":
            wait_for_port(port)
        yield Victim(started, port, arrived)


def pour(port: int, said: bytes, times: int, socket_type: bytes = b"PUSH") -> bool:
    """Send the same again and again: whether it was cut off."""
    connection = meet(port, b"", socket_type)
    return poured(connection, said, times)


def poured(connection: socket.socket, said: bytes, times: int) -> bool:
    """The same on a connection."""
    with connection:
        connection.settimeout(30)
        try:
            for _ in range(times):
                connection.sendall(said)
            connection.recv(1)  # until the other side ends it
        except TimeoutError:
            return False
        except OSError:
            pass
    return True


@contextmanager
def honest(port: int, socket_type: int = zmq.PUSH) -> Iterator[Callable[[], int]]:
    """A peer that behaves sends all the while; asked how many it has sent, it stops."""
    over, sent = threading.Event(), itertools.count()
    context: zmq.Context[Any] = zmq.Context()

    def run() -> None:
        with context.socket(socket_type) as one:
            one.linger = 10_000
            one.connect(f"tcp://127.0.0.1:{port}")
            while not over.wait(0.001):
                one.send(b'{"n":%d}' % next(sent))

    thread = threading.Thread(target=run)
    thread.start()

    def stop() -> int:
        over.set()
        thread.join()
        return next(sent)

    try:
        yield stop
    finally:
        over.set()
        thread.join()
        context.term()


@pytest.mark.parametrize("kind", ["PULL", "SUB"])
@pytest.mark.parametrize(
    ("said", "times"), [(BIG, 1500), (EMPTY, 400), (SHORT, 400)], ids=["large", "empty", "short"]
)
def test_a_message_of_many_frames(kind: str, said: bytes, times: int, tmp_path: Path) -> None:
    """Whoever sends frames without an end is cut off in time, and an honest peer's messages all arrive meanwhile."""
    with victim(tmp_path, kind) as one:
        with honest(one.port, zmq.PUSH if kind == "PULL" else zmq.PUB) as stop:
            soon(lambda: len(lines(one.arrived)) > 100)
            first = json.loads(lines(one.arrived)[0])["n"]
            assert pour(one.port, said, times, b"PUSH" if kind == "PULL" else b"PUB")
            count = stop()
            soon(lambda: len(lines(one.arrived)) == count - first)
        assert one.grown() < BOUND + ALLOWANCE
        soon(lambda: one.now() < 100 * MIB)  # and it is given back
        assert "disconnected 1 peer: " in one.end()


def test_whole_messages_between_parts_are_no_disguise(tmp_path: Path) -> None:
    """A peer that delivers a message now and then may have no more of an unfinished one."""
    with victim(tmp_path) as one:
        assert pour(one.port, frame(b'{"n":1}') + BIG * 200, 3)
        assert one.grown() < BOUND + ALLOWANCE
        with honest(one.port) as stop:
            soon(lambda: len(lines(one.arrived)) > 100)
            stop()
        assert "disconnected" in one.end()


def test_over_ipc_they_are_disconnected_at_the_bound(tmp_path: Path) -> None:
    """The system tells no traffic there: who delivers nothing while memory grows is taken for the one."""
    path = str(tmp_path / "socket")
    (tmp_path / "mine.py").write_text(SLOW)
    words = [
        *part("input", "ZeroMQ", socket_bind=f"ipc://{path}", socket_type="PULL", queue_bytes=BOUND),
        *("--decoder", "Null", "--encoder", "Null"),
        *part("output", "File", filename=str(tmp_path / "arrived")),
    ]
    with node(*words, cwd=tmp_path) as started:
        soon(lambda: Path(path).exists())
        one = Victim(started, 0, tmp_path / "arrived")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(hello(b"PUSH"))
            assert connection.recv(64)
            soon(lambda: connection.recv(100))
            assert poured(connection, BIG, 1500)
        assert one.grown() < BOUND + ALLOWANCE
        assert "disconnected" in one.end()


def test_several_in_turn_and_at_once(tmp_path: Path) -> None:
    """Many connections that each have a part of it cost together no more than one."""
    with victim(tmp_path) as one:
        crowd = [threading.Thread(target=pour, args=(one.port, BIG, 20)) for _ in range(10)]
        for thread in crowd:
            thread.start()
        for _ in range(2):
            assert pour(one.port, BIG, 100)
        with honest(one.port) as stop:
            soon(lambda: len(lines(one.arrived)) > 100)
            stop()
        assert one.grown() < BOUND + ALLOWANCE
        one.end()
        for thread in crowd:
            thread.join()


def test_a_frame_larger_than_all_that_there_may_be(tmp_path: Path) -> None:
    """No limit for a frame is ZeroMQ's any more: the bound of memory holds for one as for many, again and again."""
    with victim(tmp_path, maxmsgsize=MIB) as one:
        for _ in range(2):
            connection = meet(one.port, bytes([LONG]) + (1 << 32).to_bytes(8, "big"), b"PUSH")
            assert poured(connection, bytes(MIB), 1500)
        with honest(one.port) as stop:
            soon(lambda: len(lines(one.arrived)) > 100)
            stop()
        assert one.grown() < BOUND + ALLOWANCE
        assert "disconnected" in one.end()


def test_a_slow_one(tmp_path: Path) -> None:
    """Patience does not help: what counts is what is in memory."""
    with victim(tmp_path, queue_bytes=16 * MIB, maxmsgsize=MIB) as one:
        connection = meet(one.port, b"", b"PUSH")
        connection.settimeout(0.01)
        part_of_it = frame(b"", MORE) * 8192

        def cut() -> bool:
            try:
                connection.sendall(part_of_it)
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        soon(cut)
        assert one.grown() < 16 * MIB + ALLOWANCE
        connection.close()


def test_what_is_said_instead_of_a_handshake_counts_too(tmp_path: Path) -> None:
    """READY with much metadata, from many."""
    with victim(tmp_path) as one:
        much = frame(b"\x05READY" + b"\x01x\x00\x80\x00\x00" + bytes(8 * MIB), COMMAND)
        connections = [meet_half(one.port, much[:-1]) for _ in range(12)]
        with honest(one.port) as stop:
            soon(lambda: len(lines(one.arrived)) > 100)
            stop()
        assert one.grown() < BOUND + ALLOWANCE
        for connection in connections:
            connection.close()


def meet_half(port: int, said: bytes) -> socket.socket:
    """A connection, and a handshake that does not end."""
    connection = dial(port, greeting())
    connection.settimeout(0.5)
    with suppress(OSError):
        connection.sendall(said)
    return connection


@pytest.mark.parametrize("size", [1000, MIB])
def test_valid_messages_while_the_chain_stands_still(size: int, tmp_path: Path) -> None:
    """They wait at their senders: nothing is lost, and memory stays in its bound."""
    count = 300 * MIB // size if size == MIB else 5000
    with victim(tmp_path) as one, zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        (tmp_path / "stand").touch()
        pusher.sndhwm = 0
        pusher.connect(f"tcp://127.0.0.1:{one.port}")
        for number in range(count):
            pusher.send(b"%d " % number + b"x" * size)
        if size == MIB:
            wait_for(lambda: one.grown() > BOUND / 2)
        (tmp_path / "stand").unlink()
        soon(lambda: len(lines(one.arrived)) == count)
        assert [int(line.split()[0]) for line in lines(one.arrived)] == list(range(count))
        assert one.grown() < BOUND + ALLOWANCE
        assert "disconnected" not in one.end()


def test_a_hostile_publisher_that_we_connect_to(tmp_path: Path) -> None:
    """Whose address it is that we went to does not matter."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        victim(tmp_path, "SUB", server.getsockname()[1], "connect") as one,
    ):
        for _ in range(3):
            connection, _ = server.accept()
            connection.sendall(hello(b"PUB"))
            assert poured(connection, BIG, 200)
        assert one.grown() < BOUND + ALLOWANCE
        assert "disconnected" in one.end()
