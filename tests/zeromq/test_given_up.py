"""Where ZeroMQ would never try again, because of what a peer had sent, the connection is made again."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.given_up import SILENCE, GivenUp
from message_passing.zeromq.monitor import Event
from message_passing.zeromq.receiving import FRAME_TOO_BIG, Receiver
from message_passing.zeromq.settings import SocketSettings
from support import Kept
from zmtp import LONG, frame, hello

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE, THERE = "tcp://127.0.0.1:1", "tcp://127.0.0.1:2"
ENDLESS = bytes([LONG]) + (1 << 62).to_bytes(
    8, "big"
)  # the beginning of a frame for which there is no memory

ENDED, RETRIED, CONNECTED = zmq.EVENT_DISCONNECTED, zmq.EVENT_CONNECT_RETRIED, zmq.EVENT_CONNECTED


class Clock:
    """It is what it is set to."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def told(*events: tuple[int, str]) -> tuple[GivenUp, Clock]:
    """After these events, all at once."""
    clock = Clock()
    one = GivenUp(clock)
    for number, endpoint in events:
        one.note(Event(int(number), 7, endpoint), shaken=True)
    return one, clock


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(ENDED, HERE)], [HERE]),
        ([(ENDED, HERE), (RETRIED, HERE)], []),
        ([(ENDED, HERE), (CONNECTED, HERE)], []),
        ([(ENDED, HERE), (ENDED, THERE), (RETRIED, THERE)], [HERE]),
        ([(ENDED, "tcp://localhost:1"), (RETRIED, HERE)], []),
        ([(ENDED, "tcp://localhost:1"), (RETRIED, THERE)], ["tcp://localhost:1"]),
        ([(RETRIED, HERE), (ENDED, HERE)], [HERE]),
        ([(ENDED, "ipc:///run/a"), (RETRIED, "ipc:///run/b")], ["ipc:///run/a"]),
    ],
)
def test_who_was_given_up_is_known_by_silence(events: list[tuple[int, str]], expected: list[str]) -> None:
    """ZeroMQ says of all others that it will try again, if under another name; not before, and once."""
    one, clock = told(*events)
    clock.now = SILENCE * 0.99
    assert one.take() == []
    clock.now = SILENCE
    assert one.take() == [(endpoint, True) for endpoint in expected]
    assert one.take() == []


@contextmanager
def server(port: int, *said: bytes, kind: bytes) -> Iterator[list[socket.socket]]:
    """Something by hand that listens, and says this in each connection, which it keeps."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(20)
        connections.append(listener.accept()[0])
        connections[0].settimeout(20)
        connections[0].sendall(hello(kind))
        heard = b""
        while b"Socket-Type" not in heard:
            heard += connections[0].recv(1000)
        connections[0].sendall(b"".join(said))
        yield connections
    for one in connections:
        one.close()


def run_until_both(head: ZeroMQInput, kept: Kept, port: int) -> None:
    """Run an input to whom one server sends a frame without an end, and then another one a message."""

    def talk() -> None:
        with server(port, frame(b"before"), ENDLESS, kind=b"PUSH"):
            wait_for(lambda: b"before" in kept.messages)
        with server(port, frame(b"after"), kind=b"PUSH"):
            wait_for(lambda: b"after" in kept.messages, timeout=15)

    async def serve() -> None:
        task = asyncio.create_task(head.run())
        await asyncio.to_thread(talk)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())


def test_an_input_connects_again_to_who_sent_a_frame_without_an_end() -> None:
    """What came before arrives, it is reported and counted, and what comes later arrives."""
    port, kept = free_port(), Kept()
    head = ZeroMQInput(connect=f"tcp://127.0.0.1:{port}", socket_type="PULL", output_to=kept)
    reported: list[str] = []
    head.report = lambda error, *_, **__: reported.append(str(error))  # type: ignore[method-assign]
    with head:
        run_until_both(head, kept, port)
        assert head.info()["disconnected"] == {FRAME_TOO_BIG: 1}
    assert kept.messages == [b"before", b"after"]
    assert len([text for text in reported if "connecting again" in text]) == 1


def test_nothing_that_had_arrived_is_lost_by_that() -> None:
    """ZeroMQ would forget it with the connection: so who does not receive is not connected again yet."""
    port, messages = free_port(), [b"%d" % n for n in range(500)]
    one = Receiver(SocketSettings("PULL", connect=(f"tcp://127.0.0.1:{port}",)))
    one.open()
    try:
        with server(port, *map(frame, messages), ENDLESS, kind=b"PUSH"):
            wait_for(lambda: one.disconnected() == {FRAME_TOO_BIG: 1})
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(2)
            with pytest.raises(TimeoutError):
                listener.accept()
            found: list[bytes] = []

            def all_received() -> bool:
                found.extend(one.receive(1000))
                return len(found) >= 500

            wait_for(all_received)
            assert found == messages
            listener.settimeout(20)
            listener.accept()[0].close()
    finally:
        one.close()


@pytest.mark.parametrize("socket_type", ["PUB", "PUSH"])
def test_an_output_connects_again_to_who_sent_too_much(socket_type: Any) -> None:
    """A receiver's frame of more than 4096 bytes, a prefix say, does not make its sender mute for good."""
    port = free_port()
    with ZeroMQOutput(connect=f"tcp://127.0.0.1:{port}", socket_type=socket_type, linger=0) as output:
        kind = {"PUB": b"SUB", "PUSH": b"PULL"}[socket_type]
        with server(port, frame(b"\x01" + bytes(5000)), kind=kind) as connections:
            while connections[0].recv(4096):
                pass
        with zmq.Context() as context, context.socket(getattr(zmq, kind.decode())) as receiver:
            if socket_type == "PUB":
                receiver.subscribe(b"")
            receiver.bind(f"tcp://127.0.0.1:{port}")

            def came() -> bool:
                output.consume(b"here")
                return bool(receiver.poll(20))

            wait_for(came, timeout=15)
