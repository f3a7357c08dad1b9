"""Names of hosts that nobody knows yet, and resolvers that refuse, or never answer, in real lookups of libc's."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from commands import finished
from faulty import needs
from message_passing.testing import free_port, wait_for
from nodes import OURS, lines, node, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "logs.example"
_number = itertools.count(1)

_SETUP = """
mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv.conf" /etc/resolv.conf || exit 99
shift
exec "$@"
"""


@contextmanager
def machine(folder: Path, kind: str, asked: list[bytes] | None = None) -> Iterator[tuple[str, ...]]:
    """The prefix that runs a command with another resolver, in a mount namespace, with the folder's `hosts`.

    Args:
        folder: for its files.
        kind: nobody listens where the resolver should be (refuses); it never answers (silent); it says that there is
            no such host (unknown).
        asked: where the questions go that it answers.
    """
    needs("unshare", root=True)
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    address = f"127.98.{os.getpid() % 250 + 1}.{next(_number)}"  # nobody else's
    (folder / "resolv.conf").write_text(f"nameserver {address}\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        if kind != "refuses":
            server.bind((address, 53))
        if kind == "unknown":
            threading.Thread(target=_deny, args=(server, asked), daemon=True).start()
        yield ("unshare", "--mount", "sh", "-c", _SETUP, "sh", str(folder))


def _deny(server: socket.socket, asked: list[bytes] | None) -> None:
    """Answer every question with NXDOMAIN (RFC 1035, section 4.1.1)."""
    while True:
        try:
            question, asker = server.recvfrom(512)
            if asked is not None:
                asked.append(question)
            server.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12:], asker)
        except OSError:
            return


def name_comes(folder: Path) -> None:
    """The name is known from now on: in the same file, which is what is mounted."""
    with (folder / "hosts").open("a") as file:
        file.write(f"127.0.0.1 {NAME}\n")


def reports(err: bytes) -> list[str]:
    """What was told on standard error, reports as their sentence."""
    told = err.decode().splitlines()
    return [json.loads(line)["exception"] if line.startswith("{") else line for line in told]


def chosen(tmp_path: Path, which: str) -> list[str]:
    """A chain with something that needs a name."""
    (tmp_path / "log").touch()
    words: dict[str, list[str]] = {
        "FileTail": [*part("input", "FileTail", filename=str(tmp_path / "log")), "--output", "STDOUT"],
        "ToLogstash": ["--input", "STDIN", "--filter", "ToLogstash", "--output", "STDOUT"],
        "UDP output": ["--input", "STDIN", *part("output", "Socket::UDP", hostname=NAME, port=5140)],
        "UDP input": [*part("input", "Socket::UDP", hostname=NAME, port=0), "--output", "STDOUT"],
        "ZeroMQ output": ["--input", "STDIN", *part("output", "ZeroMQ", connect=f"tcp://{NAME}:1")],
        "ZeroMQ input": [*part("input", "ZeroMQ", connect=f"tcp://{NAME}:1"), "--output", "STDOUT"],
    }
    return [*words[which], "--pid_file", str(tmp_path / "pid")]


@pytest.mark.parametrize("kind", ["silent", "unknown"])
@pytest.mark.parametrize(
    "which", ["FileTail", "ToLogstash", "UDP output", "UDP input", "ZeroMQ output", "ZeroMQ input"]
)
def test_a_start_does_not_wait_for_names(tmp_path: Path, which: str, kind: str) -> None:
    """Whatever needs a name starts soon, says once which is not known, and ends soon, with status 0."""
    pid = tmp_path / "pid"
    began = time.monotonic()
    with (
        machine(tmp_path, kind) as prefix,
        node(*chosen(tmp_path, which), command=(*prefix, *OURS)) as started,
    ):
        wait_for(lambda: pid.exists() and pid.read_bytes(), timeout=20)
        took = time.monotonic() - began
        began = time.monotonic()
        status, _, err = started.stop()
        ended = time.monotonic() - began
    assert status == 0, err
    assert took < 8, "most of which is Python's own start, on a busy machine"
    assert ended < 8
    said = [text for text in reports(err) if NAME in text]
    if which in ("FileTail", "ToLogstash"):
        assert not said
        assert kind != "silent" or "the full name of this machine was not found in time" in err.decode()
    else:
        assert len(said) == 1
        assert re.search("the lookup is repeated until it succeeds|it is looked up again", said[0])
        assert ("was not found within 1 s" in said[0]) == (kind == "silent")


def test_udp_output_finds_a_name_that_comes(tmp_path: Path) -> None:
    """Until then messages are dropped and counted, and after it they are sent."""
    with machine(tmp_path, "refuses") as prefix, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        port = receiver.getsockname()[1]
        words = ["--input", "STDIN", *part("output", "Socket::UDP", hostname=NAME, port=port)]
        with node(*words, command=(*prefix, *OURS)) as started:
            started.write(b'{"too":"early"}\n')
            assert started.process.stderr
            assert NAME in started.process.stderr.readline().decode()
            name_comes(tmp_path)

            def arrives() -> bytes:
                started.write(b'{"in":"time"}\n')
                try:
                    return receiver.recv(100)
                except TimeoutError:
                    return b""

            assert wait_for(arrives, timeout=20) == b'{"in":"time"}'
            status, _, err = started.stop()
    assert status == 0
    assert "unknown host" in reports(err)[-1]


def test_udp_input_finds_a_name_that_comes(tmp_path: Path) -> None:
    """It is bound as soon as its name is known."""
    port, out = free_port(), tmp_path / "out"
    words = [
        *part("input", "Socket::UDP", hostname=NAME, port=port),
        *("--decoder", "Null"),
        *part("output", "File", filename=str(out)),
    ]
    with machine(tmp_path, "refuses") as prefix, node(*words, command=(*prefix, *OURS)) as started:
        wait_for(out.exists, timeout=20)
        name_comes(tmp_path)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

            def arrives() -> bool:
                sender.sendto(b"datagram", ("127.0.0.1", port))
                return b"datagram" in lines(out)

            wait_for(arrives, timeout=20)
        status, _, _ = started.stop()
    assert status == 0


@pytest.mark.parametrize("kind", ["refuses", "unknown"])
def test_zeromq_finds_a_name_that_comes(tmp_path: Path, kind: str) -> None:
    """What was sent before the name was known is queued, and arrives when it is."""
    context = zmq.Context()
    pull = context.socket(zmq.PULL)
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    pull.rcvtimeo = 20_000
    options: dict[str, Any] = {"connect": f"tcp://{NAME}:{port}", "socket_type": "PUSH"}
    words = ["--input", "STDIN", *part("output", "ZeroMQ", **options)]
    try:
        with machine(tmp_path, kind) as prefix, node(*words, command=(*prefix, *OURS)) as started:
            assert started.process.stderr
            warning = started.process.stderr.readline().decode()
            assert f"warning: ZeroMQ output: tcp://{NAME}:{port}: unknown host '{NAME}'" in warning
            name_comes(tmp_path)
            started.write(b'{"a":1}\n')
            assert pull.recv() == b'{"a":1}'
            assert started.stop()[0] == 0
    finally:
        context.destroy(0)


HANDLER = f"""
import logging, time
from message_passing.logging import ZeroMQHandler
logging.getLogger().addHandler(ZeroMQHandler("tcp://{NAME}:1", linger=0))
logging.error("lost")
input()
"""


@pytest.mark.parametrize("which", ["ZeroMQ output", "ZeroMQ input", "log handler"])
def test_an_unknown_name_is_looked_up_ever_more_rarely(tmp_path: Path, which: str) -> None:
    """Not at each of ZeroMQ's attempts to connect: within three seconds a few times, by whoever connects there."""
    asked: list[bytes] = []
    command: tuple[str, ...] = sys.executable, "-c", HANDLER
    words: list[str] = []
    if which != "log handler":
        command, words = OURS, chosen(tmp_path, which)
    with machine(tmp_path, "unknown", asked) as prefix, node(*words, command=(*prefix, *command)) as started:
        wait_for(lambda: asked, timeout=20)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 3)
        count = len(asked)
        started.stop()
    assert 3 <= count <= 15


@pytest.mark.parametrize("which", ["UDP output", "UDP input", "ZeroMQ output", "ZeroMQ input"])
def test_check_connect_reports_the_name(tmp_path: Path, which: str) -> None:
    """Who asks whether it would connect is told, with an exit status of 1."""
    with machine(tmp_path, "unknown") as prefix:
        words = ["check", "--connect", "--timeout", "1", *chosen(tmp_path, which)]
        done = finished(*words, command=(*prefix, *OURS))
    assert done.status == 1
    assert f"unknown host '{NAME}'" in done.out.decode()


def test_http_on_a_name_that_is_not_known(tmp_path: Path) -> None:
    """It is no mistake: the status is that with which the shipped unit tries again."""
    with machine(tmp_path, "refuses") as prefix:
        words = ["--input", "STDIN", "--output", "Null", "--http", f"{NAME}:0", "--http_token", "x" * 20]
        done = finished(*words, command=(*prefix, *OURS))
    assert done.status == 1
    assert done.told == [
        f"message-passing: --http: unknown host '{NAME}' (Temporary failure in name resolution)"
    ]


def test_what_is_known_needs_no_resolver(tmp_path: Path) -> None:
    """Addresses and localhost are taken at once, whatever the resolver does."""
    port = free_port()
    words = [*part("input", "Socket::UDP", hostname="localhost", port=port), "--output", "Null"]
    with machine(tmp_path, "silent") as prefix, node(*words, command=(*prefix, *OURS)) as started:
        wait_for(lambda: _is_taken(port), timeout=20)
        status, _, err = started.stop()
    assert (status, err) == (0, b"")


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
