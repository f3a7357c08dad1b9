"""An address to bind that the machine does not have when a program starts, and that comes later."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cable import ip
from commands import finished
from faulty import needs
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.early_bind import absent
from nodes import OURS, lines, node, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = 5558
ADDRESSES = {"IPv4": "10.99.7.1", "IPv6": "fd99::7"}
_number = itertools.count()

PEER = """
import sys, zmq
with zmq.Context() as context, context.socket(getattr(zmq, sys.argv[2])) as socket:
    socket.ipv6 = True
    socket.linger = socket.rcvtimeo = 20_000
    if sys.argv[2] == "SUB":
        socket.subscribe(b"")
    socket.connect(sys.argv[1])
    if sys.argv[2] in ("PUSH", "PUB"):
        if sys.argv[2] == "PUB":
            import time
            for number in range(200):
                socket.send(b'{"n":1}')
                time.sleep(0.05)
        else:
            socket.send(b'{"n":1}')
    else:
        print(socket.recv().decode())
"""

LOGS = """
import logging, sys
from message_passing.logging import ZeroMQHandler
endpoint, kind = sys.argv[1:]
handler = ZeroMQHandler(socket_bind=endpoint, socket_type=kind, linger=20_000, fields=lambda event: {"n": 1})
logging.getLogger().addHandler(handler)
logging.error("logged")
input()
"""


@contextmanager
def machine() -> Iterator[str]:
    """The name of a network namespace with nothing in it but the loopback device."""
    needs("ip", root=True)
    name = f"mp-{os.getpid()}-address-{next(_number)}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)  # noqa: S607


def address_comes(name: str, address: str) -> None:
    """The machine has the address from now on."""
    words = ["address", "add", f"{address}/{128 if ':' in address else 32}", "dev", "lo"]
    ip("-n", name, *words, *(["nodad"] if ":" in address else []))


def endpoint_of(address: str) -> str:
    """An endpoint there."""
    return f"tcp://[{address}]:{PORT}" if ":" in address else f"tcp://{address}:{PORT}"


def peer(name: str, endpoint: str, kind: str) -> subprocess.Popen[str]:
    """A plain pyzmq socket on that machine, which sends a message or prints one."""
    words = ["ip", "netns", "exec", name, sys.executable, "-c", PEER, endpoint, kind]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def says_that_it_waits(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    """Whether it reports, sooner or later, that the address is not there."""
    assert process.stderr
    return any(
        f"{endpoint}: this machine has no such address yet".encode() in line for line in process.stderr
    )


@pytest.mark.parametrize(("kind", "family"), [("PULL", "IPv6"), ("SUB", "IPv4")])
def test_an_input_listens_on_an_address_that_comes_later(tmp_path: Path, kind: str, family: str) -> None:
    """It says so when it starts, and messages arrive as soon as the address is there."""
    endpoint, out = endpoint_of(ADDRESSES[family]), tmp_path / "out"
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type=kind)
    words += ["--decoder", "Null", *part("output", "File", filename=str(out))]
    with machine() as name, node(*words, command=("ip", "netns", "exec", name, *OURS)) as started:
        assert says_that_it_waits(started.process, endpoint)
        address_comes(name, ADDRESSES[family])
        with peer(name, endpoint, {"PULL": "PUSH", "SUB": "PUB"}[kind]) as sender:
            wait_for(lambda: b'{"n":1}' in lines(out), timeout=20)
            sender.kill()
        assert started.stop()[0] == 0


@pytest.mark.parametrize(("kind", "family"), [("PUSH", "IPv4"), ("PUB", "IPv6")])
def test_an_output_listens_on_an_address_that_comes_later(kind: str, family: str) -> None:
    """What it buffers is there for whoever connects when the address has come."""
    endpoint = endpoint_of(ADDRESSES[family])
    words = part("output", "ZeroMQ", socket_bind=endpoint, socket_type=kind, subscribe_delay=20)
    with (
        machine() as name,
        node("--input", "STDIN", *words, command=("ip", "netns", "exec", name, *OURS)) as started,
    ):
        assert says_that_it_waits(started.process, endpoint)
        started.write(b'{"n":1}\n')
        address_comes(name, ADDRESSES[family])
        with peer(name, endpoint, {"PUSH": "PULL", "PUB": "SUB"}[kind]) as receiver:
            assert receiver.communicate(timeout=20)[0] == '{"n":1}\n'
        assert started.stop()[0] == 0


@pytest.mark.parametrize("kind", ["PUSH", "PUB"])
def test_the_log_handler_listens_on_an_address_that_comes_later(kind: str) -> None:
    """A record that was logged before the address came is sent when somebody connects there."""
    endpoint = endpoint_of(ADDRESSES["IPv4"])
    with machine() as name:
        words = ["ip", "netns", "exec", name, sys.executable, "-c", LOGS, endpoint, kind]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as program:
            assert says_that_it_waits(program, endpoint)
            address_comes(name, ADDRESSES["IPv4"])
            with peer(name, endpoint, {"PUSH": "PULL", "PUB": "SUB"}[kind]) as receiver:
                assert '"n":1' in receiver.communicate(timeout=20)[0]
            _, err = program.communicate(b"\n", timeout=20)
        assert program.returncode == 0, err


def test_an_interface_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    """Its name has no address that could be waited for: the address may be given instead."""
    words = [*part("input", "ZeroMQ", socket_bind="tcp://none0:5558"), "--output", "STDOUT"]
    with node(*words) as started:
        status, _, err = started.end()
    assert status == 2
    assert "no such network interface; give its address instead, which may come later" in err.decode()


def test_a_taken_port_of_an_address_that_is_not_there_is_an_error() -> None:
    """Another program has it: that will not change when the address comes."""
    endpoint = f"tcp://192.0.2.1:{free_port()}"
    words = [*part("input", "ZeroMQ", socket_bind=endpoint), "--output", "STDOUT"]
    with node(*words) as first:
        assert says_that_it_waits(first.process, endpoint)
        with node(*words) as other:
            status, _, err = other.end()
        assert status == 2
        assert "address in use" in err.decode()


WITHOUT_ZEROMQ = {
    "UDP input": ([*part("input", "Socket::UDP", hostname="192.0.2.1", port=0), "--output", "STDOUT"], 0),
    "console": (
        ["--input", "STDIN", "--output", "STDOUT", "--http", "192.0.2.1:8070", "--http_token", "t" * 32],
        1,
    ),
}
"""Words, and the status with which the command ends."""


@pytest.mark.parametrize("what", WITHOUT_ZEROMQ)
def test_an_address_that_is_not_there_is_no_configuration_error(what: str) -> None:
    """The UDP input tries it again; the console ends the command with a status on which systemd restarts it."""
    words, expected = WITHOUT_ZEROMQ[what]
    with node(*words) as started:
        assert started.process.stderr
        report = started.process.stderr.readline().decode()
        status, _, _ = started.stop() if expected == 0 else started.end()
    assert status == expected
    assert "192.0.2.1" in report


def test_a_udp_output_waits_for_a_network() -> None:
    """With no way to the receiver, it counts what it drops, and sends what comes when there is one."""
    words = ["--input", "STDIN", *part("output", "Socket::UDP", hostname="10.99.7.1", port=5140)]
    with machine() as name, node(*words, command=("ip", "netns", "exec", name, *OURS)) as started:
        assert started.process.stderr
        assert "no network leads there yet" in started.process.stderr.readline().decode()
        assert started.stop()[0] == 0


def test_check_connect_reports_the_address() -> None:
    """Who asks whether it would work is told, with an exit status of 1."""
    endpoint = f"tcp://192.0.2.1:{free_port()}"
    done = finished(
        "check", "--connect", *part("input", "ZeroMQ", socket_bind=endpoint), "--output", "STDOUT"
    )
    assert done.status == 1
    assert "this machine has no such address; it is listened on when it comes" in done.out.decode()


def test_absent_addresses_are_known_as_such() -> None:
    """Of endpoints that are bound, those whose address the machine does not have now."""
    there = [
        "tcp://127.0.0.1:1",
        "tcp://*:1",
        "tcp://[::]:1",
        "ipc:///none",
        "inproc://none",
        "tcp://none0:1",
    ]
    assert absent([*there, "tcp://192.0.2.1:1", "tcp://192.0.2.1:*"]) == [
        "tcp://192.0.2.1:1",
        "tcp://192.0.2.1:*",
    ]
