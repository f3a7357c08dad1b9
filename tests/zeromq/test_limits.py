"""What peers may not do: send too much, say nothing, be gone unnoticed, come from where they should not."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import Limits, SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def endpoint() -> str:
    """A free one."""
    return f"tcp://127.0.0.1:{free_port()}"


def address_of(text: str) -> tuple[str, int]:
    """Host and port."""
    return "127.0.0.1", int(text.rpartition(":")[2])


@contextmanager
def pushing(to: str) -> Iterator[zmq.Socket[bytes]]:
    """A stranger's PUSH socket."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as pusher:
        pusher.linger = 0
        pusher.connect(to)
        yield pusher


def run_until(head: ZeroMQInput, condition: Callable[[], bool], seconds: float = 15) -> None:
    """Run an input until something is so."""

    async def serve() -> None:
        task = asyncio.create_task(head.run())
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - anything may be asked, from a file to a counter
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())


def test_a_frame_that_is_too_large_costs_its_sender_the_connection_and_nobody_else() -> None:
    """It is never in memory as a whole; the sender may go on with others."""
    kept, to = Kept(), endpoint()
    with (
        ZeroMQInput(socket_bind=to, socket_type="PULL", maxmsgsize=1000, output_to=kept) as head,
        pushing(to) as bad,
        pushing(to) as good,
    ):
        bad.send(bytes(1001))
        good.send(b'{"n":1}')
        run_until(head, lambda: kept.messages == [b'{"n":1}'])
        bad.send(b'{"n":2}')
        run_until(head, lambda: b'{"n":2}' in kept.messages)


def test_an_output_does_not_send_what_is_too_big_and_counts_it() -> None:
    """The receiver would disconnect it, and what else is on its way would be lost."""
    with ZeroMQOutput(connect=endpoint(), maxmsgsize=10, linger=0) as output:
        output.consume_many([b"0123456789", b"01234567890"])
        assert output.metrics.dropped == {"too big": 1}
        assert output.held() == 1


def test_who_says_nothing_is_shown_out() -> None:
    """Half-open connections do not pile up."""
    to = endpoint()
    with ZeroMQInput(socket_bind=to, handshake_ivl=200), socket.create_connection(address_of(to)) as silent:
        silent.settimeout(5)
        while silent.recv(100):  # ZeroMQ's greeting, and then the end
            pass


@pytest.mark.parametrize(
    ("ivl", "timeout", "expected"),
    [
        (10_000, 30_000, (1, 10, 10, 3)),
        (100, 2500, (1, 1, 1, 2)),
        (60_000, 1000, (1, 60, 60, 1)),
        (1, 1_000_000_000, (1, 1, 1, 127)),
        (1_000_000_000, 1, (1, 32767, 32767, 1)),
    ],
)
def test_a_machine_that_is_gone_is_asked_for(ivl: int, timeout: int, expected: tuple[int, ...]) -> None:
    """By the system, on both ends of each connection; `tests/faults/test_network.py` cuts the cable."""
    to = endpoint()
    limits = Limits(heartbeat_ivl=ivl, heartbeat_timeout=timeout, tcp_maxrt=5000)
    sender = Sender(SocketSettings("PUSH", connect=(to,), linger=0, limits=limits))
    receiver = Receiver(SocketSettings("PULL", bind=(to,), limits=limits))
    receiver.open()
    sender.open()
    try:
        wait_for(lambda: sender.outgoing.peers and sender.outgoing.peers.now() == 1)
        sender.send_many([b"sent"])
        wait_for(lambda: receiver.receive(1))
        port = address_of(to)[1]
        found = [asked for asked, ports in _connections() if port in ports]
        assert found == [(*expected, 5000), (*expected, 5000)]
    finally:
        sender.close()
        receiver.close()


@contextmanager
def borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A copy of a socket; what is none is left alone."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise OSError(errno.ENOTSOCK, "no socket")
    with socket.socket(fileno=os.dup(descriptor)) as one:
        yield one


def _connections() -> Iterator[tuple[tuple[int, ...], set[int]]]:
    """Of this process's TCP connections, what the system asks whom, and the ports of both ends."""
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        with suppress(OSError), borrowed(descriptor) as one:
            if one.family == socket.AF_INET and one.type == socket.SOCK_STREAM:
                ports = {one.getsockname()[1], one.getpeername()[1]}
                asks = one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                how = [one.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
                yield (asks, *how), ports


FLOODED_AND_RESET = """
import socket, struct, sys, time
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import Limits, SocketSettings
from zmtp import frame, meet

kind, port = sys.argv[1], free_port()
limits = Limits(heartbeat_ivl=100, heartbeat_timeout=1000)
settings = SocketSettings(kind, bind=(f"tcp://127.0.0.1:{port}",), hwm=10, limits=limits)
opened = (Sender if kind in ("PUSH", "PUB") else Receiver)(settings)
opened.open()
peer = meet(port, b"", {"PUSH": b"PULL", "PUB": b"SUB", "PULL": b"PUSH", "SUB": b"PUB"}[kind])
peer.settimeout(0.5)
try:
    for number in range(100_000):
        peer.sendall(frame(b"\\x01%d" % number + bytes(1000)))
except (TimeoutError, ConnectionError):
    pass  # nobody takes any more, or it was disconnected
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()  # which resets it
time.sleep(1)  # so long ten of ZeroMQ's heartbeats would be due
meet(port, b"", {"PUSH": b"PULL", "PUB": b"SUB", "PULL": b"PUSH", "SUB": b"PUB"}[kind]).close()
opened.close()
print("alive")
"""


@pytest.mark.parametrize("kind", ["PUSH", "PUB", "PULL", "SUB"])
def test_a_peer_that_floods_and_resets_does_not_end_the_process(kind: str) -> None:
    """Nor does one that is slow: with ZeroMQ's own heartbeats, each of these died of an assertion."""
    words = [sys.executable, "-W", "error", "-c", FLOODED_AND_RESET, kind]
    path = os.pathsep.join(sys.path)
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        b"\x01\x00hello",
        bytes(range(256)) * 10,
    ],
)
def test_who_speaks_no_zeromq_is_not_counted_as_a_peer(garbage: bytes) -> None:
    """Nor is a peer that is there forgotten when one of these ends."""
    to = endpoint()
    opened = OpenSocket(SocketSettings("PUSH", bind=(to,), linger=0))
    peers = Peers(opened)
    opened.attach()
    with zmq.Context() as context, context.socket(zmq.PULL) as real:
        for late in (False, True):
            with socket.create_connection(address_of(to)) as stranger:
                stranger.sendall(garbage)
                if not late:
                    real.connect(to)
                    wait_for(lambda: peers.now() == 1)
            wait_for(lambda: peers.now() >= 0 and not peers._shaking)
            assert peers.now() == 1
    wait_for(lambda: peers.now() == 0)
    peers.close()
    opened.close(0)


def reports(kept: Kept) -> str:
    """What an error chain was told."""
    return json.dumps(kept.messages)


@pytest.mark.parametrize("options", [{"deny": ["127.0.0.0/8"]}, {"allow": ["10.0.0.0/8"]}])
def test_addresses_that_may_not_connect(options: dict[str, Any]) -> None:
    """Nothing arrives, and the log says who was refused and why."""
    kept, errors, to = Kept(), Kept(), endpoint()
    with (
        ZeroMQInput(socket_bind=to, socket_type="PULL", output_to=kept, error=errors, **options) as head,
        pushing(to) as pusher,
    ):
        pusher.send(b"{}")
        run_until(head, lambda: "refused a client at 127.0.0.1: its address 127.0.0.1" in reports(errors))
    assert kept.messages == []


def test_plain_names_and_passwords(tmp_path: Path) -> None:
    """The right ones are let in, and their name is who sent it; wrong ones hear why."""
    path, to = tmp_path / "passwords", endpoint()
    path.write_text("anna:s3cret\n", encoding="ascii")
    path.chmod(0o600)
    kept, errors, told = Kept(), Kept(), Kept()
    mine: dict[str, Any] = {"connect": to, "socket_type": "PUSH", "plain_username": "anna", "linger": 0}
    with (
        ZeroMQInput(
            socket_bind=to,
            socket_type="PULL",
            plain_passwords=str(path),
            key_field="by",
            output_to=kept,
            error=errors,
        ) as head,
        ZeroMQOutput(**mine, plain_password="s3cret") as right,
        ZeroMQOutput(**mine, plain_password="guessed", error=told) as wrong,
    ):
        right.consume(b'{"n":1}')
        wrong.consume(b'{"n":2}')
        run_until(head, lambda: kept.messages == [b'{"n":1,"by":"anna"}'] and "is wrong" in reports(errors))
        wait_for(lambda: "rejected us: the name or password is wrong" in reports(told))
        assert wrong.held() == 1


def test_with_a_key_field_only_objects_are_messages() -> None:
    """Anything else might become an object further on, with a field of the sender's choice."""
    kept, errors, to = Kept(), Kept(), endpoint()
    with (
        ZeroMQInput(
            socket_bind=to,
            socket_type="PULL",
            allow=["127.0.0.1"],
            key_field="by",
            output_to=kept,
            error=errors,
        ) as head,
        pushing(to) as pusher,
    ):
        for text in (b"[1]", b"(\xb5/\xfd", b'{"by":"x"}\n[2]', b'{"by":"x"}\n{}\n', b'{"a":\n1}'):
            pusher.send(text)
        run_until(head, lambda: len(kept.messages) == 2)
        assert (head.metrics.failed, head.metrics.received) == (3, 5)
    assert kept.messages == [b'{"by":"127.0.0.1"}\n{"by":"127.0.0.1"}', b'{"a":1,"by":"127.0.0.1"}']
