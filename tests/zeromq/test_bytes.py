"""Bytes are counted once, however messages come and go."""

from __future__ import annotations

import time

import pytest
import zmq

from message_passing.lines import ObjectFrames
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import Limits, SocketSettings


@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("maxmsgsize", [-1, 50, 1000])
def test_what_is_received(join: bool, limit: int, maxmsgsize: int) -> None:
    """As many as those have that were handed on: of several frames, in small batches, without what is too big."""
    port = free_port()
    settings = SocketSettings("PULL", bind=(f"tcp://127.0.0.1:{port}",), limits=Limits(maxmsgsize=maxmsgsize))
    receiver = Receiver(settings, join_frames=join, queue_bytes=0)
    receiver.open()
    got: list[bytes] = []
    try:
        with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
            sender.connect(f"tcp://127.0.0.1:{port}")
            for number in range(20):
                sender.send(b"{" + b"x" * (10 * number))
                sender.send_multipart([b"{a", b"b" * number, b"{ccc", b"dddd"])
            sender.send(b"{last}")
            deadline = time.monotonic() + 20
            while (not got or got[-1] != b"{last}") and time.monotonic() < deadline:
                got += receiver.receive(limit)
            receiver.open_up(0.5)
            while batch := receiver.receive(limit):
                got += batch
    finally:
        receiver.close()
    assert got[-1] == b"{last}"
    assert receiver.received_bytes == sum(map(len, got))


def test_objects_alone_are_a_batch_of_objects() -> None:
    """With their block, for who asked for it; where there was anything else among them, it is a list."""
    receiver = Receiver(SocketSettings("PULL", bind=(f"tcp://127.0.0.1:{(port := free_port())}",)))
    receiver.open()
    rest: list[bytes] = []
    try:
        with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
            sender.connect(f"tcp://127.0.0.1:{port}")
            objects = [b"{1}", b"{2}", b"{3}", b"{\n4}"]
            for sent in (objects, [b"{5}", b"6", b"{7}"], [b"{8}", b"", b"{9}"], objects):
                receiver.marks_objects = b"{9}" not in rest
                for one in sent:
                    sender.send(one)
                wait_for(lambda: receiver._socket.poll(0))  # all: what is sent at once comes at once
                time.sleep(0.1)
                got = [*receiver.receive(1)]  # the first after a while is looked at closely
                rest = receiver.receive(10)
                assert [*got, *rest] == sent
                assert (type(rest) is ObjectFrames) is (receiver.marks_objects and sent == objects)
                if type(rest) is ObjectFrames:
                    assert rest.block == b"{2}\n{3}\n{\n4}\n"
    finally:
        receiver.close()


def test_what_is_sent() -> None:
    """Not what is held, nor what is dropped; a batch that goes in parts is counted in parts."""
    port = free_port()
    sender = Sender(SocketSettings("PUSH", bind=(f"tcp://127.0.0.1:{port}",), hwm=5))
    sender.open()
    messages = [b"x" * number for number in range(1, 101)]
    sender.send_many(messages, sum(map(len, messages)))
    assert sender.outgoing.sent_bytes == 0
    with zmq.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.linger = 0
        receiver.connect(f"tcp://127.0.0.1:{port}")

        def serviced() -> int:
            sender.service()
            return sender.held

        wait_for(lambda: not serviced())
        got = sum(len(receiver.recv()) for _ in range(sender.sent))
    assert sender.outgoing.sent_bytes == got == sum(map(len, messages[: sender.sent]))
    sender.close()
