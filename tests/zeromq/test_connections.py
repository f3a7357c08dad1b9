"""The connections of a socket: who is there, what came and went, and the end of one."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmtp
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.connections import Connections
from message_passing.zeromq.descriptors import plain_address
from message_passing.zeromq.monitor import Event
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from message_passing.zeromq.descriptors import Connection


@contextlib.contextmanager
def peers_of(**settings: Any) -> Iterator[tuple[OpenSocket, Peers]]:
    """An open socket and its peers."""
    opened = OpenSocket(SocketSettings(**{"socket_type": "PULL", "linger": 0, **settings}))
    peers = Peers(opened)
    try:
        opened.attach()
        yield opened, peers
    finally:
        peers.close()
        opened.close(0)


def there(peers: Peers, count: int = 1) -> list[Connection]:
    """The connections, once there are so many."""

    def so_many() -> bool:
        peers.look()
        return len(peers.connections) == count

    wait_for(so_many)
    return list(peers.connections)


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("[::]", "127.0.0.1")]
)
def test_who_is_at_the_other_end(host: str, address: str) -> None:
    """A peer's address is in its shortest form, however the listener writes it."""
    port = free_port()
    with peers_of(bind=(f"tcp://{host}:{port}",)) as (_, peers):
        dialled = socket.create_connection(("::1" if address == "::1" else "127.0.0.1", port))
        (connection,) = there(peers)
        assert (connection.address, connection.port, connection.accepted) == (address, port, True)
        assert connection.peer_port == dialled.getsockname()[1]
        dialled.close()
        there(peers, 0)


def test_what_came_is_what_was_read() -> None:
    """The traffic of a connection is counted to the byte."""
    port = free_port()
    with peers_of(bind=(f"tcp://127.0.0.1:{port}",)) as (opened, peers):
        said = zmtp.frame(b"x" * 1000)
        dialled = zmtp.meet(port, said, b"PUSH")
        assert opened.socket.poll(5000)
        (connection,) = there(peers)
        traffic = peers.connections.traffic(connection)
        assert traffic is not None
        assert (traffic.read, traffic.unread) == (len(zmtp.hello(b"PUSH") + said), 0)
        wait_for(lambda: (now := peers.connections.traffic(connection)) and now.acknowledged > 64)
        assert opened.socket.recv(copy=False).get("__fd") == str(connection.descriptor)
        dialled.close()


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("binds", [True, False])
def test_one_is_ended_and_the_others_stay(transport: str, binds: bool, tmp_path: Path) -> None:
    """A connection can be ended alone, whichever side began it."""
    addresses = [
        f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else f"ipc://{tmp_path}/{number}"
        for number in (1, 2)
    ]
    context: zmq.Context[Any] = zmq.Context()
    others = [context.socket(zmq.PUSH) for _ in addresses]
    with peers_of(**{"bind" if binds else "connect": tuple(addresses)}) as (_, peers):
        for other, address in zip(others, addresses, strict=True):
            other.linger = 0
            other.reconnect_ivl = -1
            (other.connect if binds else other.bind)(address)
        first, second = there(peers, 2)
        assert peers.connections.disconnect([first]) == 1
        assert first not in peers.connections
        assert second in peers.connections
        assert peers.connections.disconnect([first]) == 0
        wait_for(lambda: any(event.number == zmq.EVENT_DISCONNECTED for event in peers.look()))
    for other in others:
        other.close()
    context.term()


def test_a_descriptor_that_is_another_file_by_now_is_let_alone() -> None:
    """A connection that has ended, and whose number is a connection of the program's own, ends nothing."""
    ours, theirs = socket.socketpair()
    again, far = socket.socketpair()
    connections = Connections()
    connections.note(Event(int(zmq.EVENT_ACCEPTED), ours.fileno(), ""))
    (connection,) = connections
    os.dup2(again.fileno(), ours.fileno())
    assert connections.traffic(connection) is None
    assert connections.disconnect([connection]) == 0
    far.sendall(b"still here")
    assert again.recv(10) == b"still here"
    for one in (ours, theirs, again, far):
        one.close()


def test_it_works_without_a_free_descriptor() -> None:
    """Who has used up the descriptors is measured and ended all the same."""
    port = free_port()
    with peers_of(bind=(f"tcp://127.0.0.1:{port}",)) as (_, peers):
        dialled = zmtp.dial(port, zmtp.greeting())
        (connection,) = there(peers)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        try:
            with pytest.raises(OSError, match="Too many"):
                os.dup(0)
            wait_for(lambda: (now := peers.connections.traffic(connection)) and now.read == 64)
            assert peers.connections.disconnect([connection]) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        there(peers, 0)
        dialled.close()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[::ffff:10.0.0.1]", "10.0.0.1"),
        ("::ffff:a00:1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
        ("@name", "@name"),
    ],
)
def test_an_address_has_one_form(text: str, plain: str) -> None:
    """The ways to write an address come to one."""
    assert plain_address(text) == plain
