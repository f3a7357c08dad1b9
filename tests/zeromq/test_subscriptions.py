"""A receiver that comes back is waited for until it has subscribed: only then is what was sent to it safe."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.testing import free_port, wait_for
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT, SIZE = 2000, 1000
"""More than the buffers of a connection bring to a receiver that takes nothing, and less than they take from us."""


class Receiver:
    """A bound SUB of another context. It subscribes when it is called, as all do, and takes little at a time."""

    def __init__(self, endpoint: str) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm = 10
        self._socket.subscribe(b"")
        self._socket.bind(endpoint)

    def take(self, milliseconds: int = 0) -> bytes:
        """The next message; empty when none comes for so long."""
        return self._socket.recv() if self._socket.poll(milliseconds) else b""

    def close(self) -> None:
        """At once."""
        self._context.destroy(0)


@pytest.fixture
def endpoint() -> str:
    """A free one."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def sender(endpoint: str) -> Iterator[Sender]:
    """A connecting PUB that has sent a first message to a receiver, which then went away."""
    one = Sender(SocketSettings("PUB", connect=(endpoint,), linger=10_000))
    one.open()
    first = Receiver(endpoint)
    try:
        one.send_many([b"first"])
        wait_for(lambda: _served(one) and first.take() == b"first")
        wait_for(lambda: one._clock() - one._looked_at > 0.05)
        one.service()  # by now it is known that the receiver was there when this was sent
        first.close()
        wait_for(lambda: _connected(one) == 0)
        yield one
    finally:
        first.close()
        one.close_socket(0)


def _served(one: Sender) -> bool:
    one.service()
    return True


def _connected(one: Sender) -> int:
    assert one.outgoing.peers
    return one.outgoing.peers.now()


@pytest.mark.parametrize("returned", [True, False])
def test_what_was_sent_before_it_subscribed_arrives(endpoint: str, sender: Sender, returned: bool) -> None:
    """Also when we close then: whether it has come back by that time, or comes back while we close."""
    # As before anybody had noticed that it is away: otherwise these would be held.
    assert sender.outgoing.send([b"%d" % number + bytes(SIZE) for number in range(COUNT)]) == COUNT
    second = Receiver(endpoint)
    try:
        if returned:
            wait_for(lambda: _connected(sender) == 1)
        closing = threading.Thread(target=sender.close)
        closing.start()
        closing.join(1)  # it had not subscribed so long, and is busy with something else
        arrived: list[int] = []
        while len(arrived) < COUNT and (message := second.take(3000)):
            arrived.append(int(message[:-SIZE]))
        assert arrived == [*range(COUNT)]
        closing.join(20)
        assert not closing.is_alive()
    finally:
        second.close()
    assert not sender.dropped


def test_nothing_is_waited_for_when_nothing_was_sent(sender: Sender) -> None:
    """A receiver that is gone delays no end of a sender that sent nothing since."""
    began = time.monotonic()
    sender.close()
    assert time.monotonic() - began < 5


def test_no_longer_than_linger(endpoint: str) -> None:
    """Where nobody comes back, closing ends when it always did."""
    one = Sender(SocketSettings("PUB", connect=(endpoint,), linger=300))
    one.open()
    first = Receiver(endpoint)
    try:
        one.send_many([b"first"])
        wait_for(lambda: _served(one) and first.take() == b"first")
        first.close()
        wait_for(lambda: _connected(one) == 0)
        one.outgoing.send([b"second"])
        began = time.monotonic()
        one.close()
        assert 0.29 < time.monotonic() - began < 2
    finally:
        first.close()
        one.close_socket(0)


def test_a_receiver_that_is_there_delays_no_end(endpoint: str) -> None:
    """However often it has come back: it has subscribed each time."""
    one = Sender(SocketSettings("PUB", connect=(endpoint,), linger=10_000))
    one.open()
    try:
        for _ in range(3):
            receiver = Receiver(endpoint)
            one.send_many([b"sent"])
            wait_for(lambda receiver=receiver: _served(one) and receiver.take() == b"sent")  # type: ignore[misc]
            receiver.close()
            wait_for(lambda: _connected(one) == 0)
        receiver = Receiver(endpoint)
        one.send_many([b"sent"])
        wait_for(lambda: _served(one) and receiver.take() == b"sent")
        wait_for(lambda: _served(one) and receiver.take() == b"" and _connected(one) == 1)
        began = time.monotonic()
        one.close()
        assert time.monotonic() - began < 5
    finally:
        receiver.close()
        one.close_socket(0)
