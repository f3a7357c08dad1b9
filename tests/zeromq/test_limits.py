"""What peers may not do: send too much, say nothing, be gone unnoticed, come from where they should not."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.sockets import Limits, OpenSocket, SocketSettings
from nodes import node, part
from support import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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


def test_a_peer_that_is_there_no_more_is_noticed(tmp_path: Path) -> None:
    """A process that was stopped, a cable that was pulled: nothing says so but the missing answer."""
    to = endpoint()
    limits = Limits(heartbeat_ivl=100, heartbeat_timeout=300)
    sender = Sender(SocketSettings("PUSH", bind=(to,), linger=0, limits=limits))
    sender.open()
    assert sender._peers
    words = part("input", "ZeroMQ", connect=to, socket_type="PULL", reconnect_ivl=50)
    with node(*words, *part("output", "File", filename=str(tmp_path / "out"))) as receiver:
        wait_for(lambda: sender._peers.now() == 1, 15)  # type: ignore[union-attr]
        receiver.signal(signal.SIGSTOP)
        wait_for(lambda: sender._peers.now() == 0)  # type: ignore[union-attr]
        receiver.signal(signal.SIGCONT)
        wait_for(lambda: sender._peers.now() == 1, 15)  # type: ignore[union-attr]
    sender.close()


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
        wait_for(lambda: "refuses us: the name or password is wrong" in reports(told))
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
