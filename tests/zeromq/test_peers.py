"""What the monitor says of a socket's peers."""

from __future__ import annotations

from typing import Any

import zmq

from message_passing.testing import free_port, wait_for
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket


def test_peers_are_counted_as_they_come_and_go() -> None:
    """The count follows connections, and is right however late it is asked for."""
    address = f"tcp://127.0.0.1:{free_port()}"
    opened = OpenSocket(SocketSettings("PUSH", bind=(address,), linger=0))
    peers = Peers(opened)
    opened.attach()
    context: zmq.Context[Any] = zmq.Context()
    others = [context.socket(zmq.PULL) for _ in range(3)]
    assert peers.now() == 0
    for other in others:
        other.connect(address)
    wait_for(lambda: peers.now() == 3)
    others.pop().close(0)
    wait_for(lambda: peers.now() == 2)
    for other in others:
        other.close(0)
    wait_for(lambda: peers.now() == 0)
    context.term()
    peers.close()
    opened.close(0)
