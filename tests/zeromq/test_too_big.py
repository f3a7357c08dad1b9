"""A message of more bytes than `maxmsgsize` is dropped, counted and reported; what comes after it arrives."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.oversized import Oversized
from nodes import lines, node, part
from support import Kept, accounted_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SENDERS = {"SUB": zmq.PUB, "PULL": zmq.PUSH}
FIRST, AFTER = b'{"n":1}', b'{"n":2}'
MIB = 1 << 20


@contextmanager
def sender(socket_type: str, endpoint: str, *, binds: bool) -> Iterator[zmq.Socket[bytes]]:
    """A plain pyzmq socket."""
    with zmq.Context() as context, context.socket(SENDERS[socket_type]) as one:
        one.linger = 0
        if binds:
            one.bind(endpoint)
        else:
            one.connect(endpoint)
        yield one


async def send_until(arrived: Callable[[], bool], other: zmq.Socket[bytes], message: bytes) -> None:
    """Send a message again and again until it has come."""
    async with asyncio.timeout(15):
        while not arrived():
            if other.poll(0, zmq.POLLOUT):
                other.send(message)
            await asyncio.sleep(0.02)


def after(head: ZeroMQInput, kept: Kept, other: zmq.Socket[bytes], bad: list[bytes]) -> None:
    """Run an input until a message has come, a bad one was sent, and one after it has come."""

    async def serve() -> None:
        task = asyncio.create_task(head.run())
        await send_until(lambda: FIRST in kept.messages, other, FIRST)
        other.send_multipart(bad)
        await send_until(lambda: AFTER in kept.messages, other, AFTER)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(serve())


def errors_of(head: ZeroMQInput) -> list[str]:
    """What it reported; called before it is opened."""
    reported: list[str] = []
    head.report = lambda error, *_, **__: reported.append(str(error))  # type: ignore[method-assign]
    return reported


@pytest.mark.parametrize("queue_bytes", [256 * MIB, 0], ids=["memory watched", "memory not watched"])
@pytest.mark.parametrize("binds", [True, False], ids=["input binds", "input connects"])
@pytest.mark.parametrize("socket_type", SENDERS)
def test_one_message_is_dropped_and_the_connection_stays(
    socket_type: Any, binds: bool, queue_bytes: int
) -> None:
    """Whichever side binds, for PUB and PUSH, it is counted once, reported, and nobody goes deaf."""
    endpoint, kept = f"tcp://127.0.0.1:{free_port()}", Kept()
    head = ZeroMQInput(
        socket_bind=endpoint if binds else [],
        connect=[] if binds else endpoint,
        socket_type=socket_type,
        maxmsgsize=1000,
        queue_bytes=queue_bytes,
        output_to=kept,
    )
    reported = errors_of(head)
    with head, sender(socket_type, endpoint, binds=not binds) as other:
        after(head, kept, other, [bytes(1001)])
        assert head.metrics.dropped == {"too big": 1}
        assert set(kept.messages) == {FIRST, AFTER}
        assert accounted_for(head)
        assert not head.info().get("disconnected")
    (text,) = (text for text in reported if text.startswith("dropped a message"))
    assert "a message of 1001 bytes from 127.0.0.1:" in text
    assert text.endswith(", in all its frames: maxmsgsize is 1000")


@pytest.mark.parametrize("key_field", [True, False], ids=["looked at closely", "not looked at"])
@pytest.mark.parametrize(
    ("frames", "expected", "dropped"),
    [
        ([b"x" * 1000], [b"x" * 1000], 0),
        ([b"{" + bytes(1000)], [], 1),
        ([b"topic", bytes(1001)], [], 1),
        ([b"{" + bytes(1000), b'{"x":1}'], [b'{"x":1}'], 1),
        ([b"topic", b'{"x":1}', b"x" * 1000], [b'{"x":1}'], 1),
        ([b"topic", b"{" + bytes(1000), b'{"x":1}'], [b'{"x":1}'], 1),
    ],
)
def test_to_the_byte_and_each_message_for_itself(
    frames: list[bytes], expected: list[bytes], dropped: int, key_field: bool
) -> None:
    """What is too big takes with it only what is no message without it."""
    endpoint, kept = f"tcp://127.0.0.1:{free_port()}", Kept()
    head = ZeroMQInput(connect=endpoint, maxmsgsize=1000, output_to=kept)
    head._receiver._deliveries.exact = key_field
    with head, sender("SUB", endpoint, binds=True) as other:
        after(head, kept, other, frames)
        assert [one for one in kept.messages if one not in (FIRST, AFTER)] == expected
        assert head.metrics.dropped["too big"] == dropped


def test_what_takes_more_than_all_memory_costs_its_sender_the_connection_for_a_moment() -> None:
    """A connecting input ends that connection itself, reports and counts it, and has another at once."""
    endpoint, kept = f"tcp://127.0.0.1:{free_port()}", Kept()
    head = ZeroMQInput(
        connect=endpoint, socket_type="PULL", maxmsgsize=1000, queue_bytes=16 * MIB, output_to=kept
    )
    reported = errors_of(head)
    with head, sender("PULL", endpoint, binds=True) as other:
        after(head, kept, other, [bytes(200 * MIB)])
        assert sum(head.info()["disconnected"].values()) >= 1
    assert [text for text in reported if text.startswith("disconnected a peer")]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_of_several_senders_the_one_is_named_that_goes_on(tmp_path: Path, transport: str) -> None:
    """The first report says so much that is certain, a size; the next one says who it is."""
    endpoint, kept = f"tcp://127.0.0.1:{free_port()}", Kept()
    if transport == "ipc":
        endpoint = f"ipc://{tmp_path}/socket"
    head = ZeroMQInput(socket_bind=endpoint, socket_type="PULL", maxmsgsize=1000, output_to=kept)
    with head, sender("PULL", endpoint, binds=False) as one, sender("PULL", endpoint, binds=False) as other:
        receiver = head._receiver

        def came(message: bytes) -> bool:
            return message in receiver.receive(100)

        def has_come(size: int) -> bool:
            return not receiver.receive(100) and receiver.too_big.size == size

        for who in (one, other):
            who.send(FIRST)
            wait_for(lambda: came(FIRST))
        receiver._next_sample = time.monotonic() + 1000  # none is looked at closely by chance
        for size in (1001, 1002):
            other.send(bytes(size))
            wait_for(partial(has_come, size))
            assert receiver.too_big.sender == "" or size > 1001
        who_it_is = f"process {os.getpid()}"
        if transport == "tcp":
            assert receiver.too_big.sender.startswith("127.0.0.1:")
            who_it_is = receiver.too_big.sender
        text = receiver.too_big.described(1000)
        assert (
            text == f"dropped a message of 1002 bytes from {who_it_is}, in all its frames: maxmsgsize is 1000"
        )
        head._count_refused()


@pytest.mark.parametrize(
    ("user", "address", "expected"),
    [
        ("web", "10.0.0.7:41000", "web at 10.0.0.7:41000"),
        ("web", "", "web"),
        ("10.0.0.7", "10.0.0.7:41000", "10.0.0.7:41000"),
        ("", "", ""),
    ],
)
def test_who_sent_it_is_named_by_the_key_that_is_known(user: str, address: str, expected: str) -> None:
    """Where messages are given their sender's name, the report has it too."""
    too_big = Oversized(lambda _: address)
    too_big.note(1, 1001, "7", user)
    assert too_big.sender == expected


def test_an_output_says_at_once_what_it_does_not_send() -> None:
    """Its default refuses what the original sends: that is no secret until the end."""
    output = ZeroMQOutput(connect="tcp://127.0.0.1:9", maxmsgsize=10, linger=0)
    reported: list[str] = []
    output.report = lambda error, *_, **__: reported.append(str(error))  # type: ignore[method-assign]
    with output:
        output.consume_many([b"01234567890"])
        assert reported == ["did not send a message of 11 bytes: maxmsgsize is 10"]
        assert output.metrics.dropped == {"too big": 1}


def test_a_node_says_so_and_goes_on(tmp_path: Path) -> None:
    """The command reports it while it happens, and its last line counts it."""
    endpoint, arrived = f"tcp://127.0.0.1:{free_port()}", tmp_path / "arrived.log"
    words = [
        *part("input", "ZeroMQ", connect=endpoint, maxmsgsize=1000),
        *part("output", "File", filename=str(arrived)),
    ]
    with sender("SUB", endpoint, binds=True) as other, node(*words) as one:

        def came(message: bytes) -> bool:
            other.send(message)
            return message in lines(arrived)

        wait_for(lambda: came(FIRST), timeout=20)
        other.send(b'{"text":"' + b"x" * 5000 + b'"}')
        wait_for(lambda: came(AFTER), timeout=20)
        status, _, said = one.stop()
    assert status == 0
    report = json.loads(said.splitlines()[0])
    assert "dropped a message of 5011 bytes from 127.0.0.1:" in report["exception"]
    assert b"1 too big" in said.splitlines()[-1]
