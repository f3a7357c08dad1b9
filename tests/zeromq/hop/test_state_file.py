"""What a receiver remembers of its senders from one run to the next: nothing is delivered twice."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.errors import OpenError, OptionError
from message_passing.inputs import _remembered
from message_passing.inputs.zeromq import ZeroMQInput
from message_passing.testing import TestOutput, capture, free_port, running, wait_for
from message_passing.zeromq.hop.consumer import Consumer
from message_passing.zeromq.hop.frames import Ack, Data, Hello, decode
from nodes import lines, node, part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENDER = bytes(range(16))


@contextmanager
def sender(endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A sender that says what the test wants, always as the same one."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send_multipart(Hello(SENDER, 1).encode())
        yield socket


def send(socket: zmq.Socket[bytes], *numbers: int) -> None:
    """Send frames with these numbers, again or for the first time."""
    for number in numbers:
        socket.send_multipart(Data(number, 1, b"%d" % number, lines=False, sender=SENDER).encode())


def wait_for_acks(socket: zmq.Socket[bytes], count: int) -> None:
    """Wait until so many numbers have been acknowledged."""
    acked: set[int] = set()
    deadline = time.monotonic() + 10
    while len(acked) < count and time.monotonic() < deadline:
        if socket.poll(100) and isinstance(said := decode(socket.recv_multipart()), Ack):
            acked |= {number for first, last in said.ranges for number in range(first, last + 1)}
    assert len(acked) == count


def receiver(endpoint: str, file: Path, **given: Any) -> tuple[ZeroMQInput, TestOutput]:
    """An input that remembers, and what it delivers."""
    options = {
        "socket_bind": endpoint,
        "socket_type": "ROUTER",
        "state_file": str(file),
        "linger": 100,
        **given,
    }
    component = ZeroMQInput(error=TestOutput(), **options)
    return component, capture(component)


def test_a_new_run_remembers(tmp_path: Path) -> None:
    """What was settled by the run before is acknowledged again, and not delivered again."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    first, arrived = receiver(endpoint, tmp_path / "state")
    with running(first), sender(endpoint) as socket:
        send(socket, 1, 2, 3)
        wait_for_acks(socket, 3)
    assert arrived.messages == [b"1", b"2", b"3"]
    second, arrived = receiver(endpoint, tmp_path / "state")
    with running(second), sender(endpoint) as socket:
        send(socket, 1, 2, 3, 4)
        wait_for_acks(socket, 4)
    assert arrived.messages == [b"4"]
    assert second.info()["duplicates"] == 3


def test_a_killed_receiver_remembers(tmp_path: Path) -> None:
    """What it had saved before it was killed is not delivered again."""
    endpoint, out, state = f"tcp://127.0.0.1:{free_port()}", tmp_path / "out", tmp_path / "state"
    words = part("input", "ZeroMQ", socket_bind=endpoint, socket_type="ROUTER", state_file=str(state))
    words += part("output", "File", filename=str(out), fsync="batch")
    with node(*words) as killed, sender(endpoint) as socket:
        send(socket, 1, 2)
        wait_for_acks(socket, 2)
        wait_for(state.exists, timeout=10)
        killed.signal(signal.SIGKILL)
    with node(*words) as again, sender(endpoint) as socket:
        send(socket, 1, 2, 3)
        wait_for_acks(socket, 3)
        assert again.stop()[0] == 0
    assert lines(out) == [b"1", b"2", b"3"]


def test_only_what_is_settled_is_remembered(tmp_path: Path) -> None:
    """A gap is none that is settled: what is above it may come again, and what fills it is delivered."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    first, _ = receiver(endpoint, tmp_path / "state")
    with running(first), sender(endpoint) as socket:
        send(socket, 1, 3)
        wait_for_acks(socket, 2)
    assert json.loads((tmp_path / "state").read_bytes())["floors"] == {SENDER.hex(): 1}
    second, arrived = receiver(endpoint, tmp_path / "state")
    with running(second), sender(endpoint) as socket:
        send(socket, 1, 2, 3)
        wait_for_acks(socket, 3)
    assert arrived.messages == [b"2", b"3"]


def test_a_state_file_that_cannot_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is reported once, and a problem until it works again; receiving goes on."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(_remembered, "REMEMBER_INTERVAL", 0.05)
    fsync = os.fsync

    def no_room(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_room)
    component, arrived = receiver(endpoint, tmp_path / "state")
    with running(component), sender(endpoint) as socket:
        send(socket, 1)
        wait_for(component.problems)
        send(socket, 2)
        wait_for(lambda: len(arrived.messages) == 2)
        monkeypatch.setattr(os, "fsync", fsync)
        wait_for((tmp_path / "state").exists)
        wait_for(lambda: not component.problems())
    (told,) = component.error.messages
    assert "No space left on device; it is tried again" in told["exception"]


def test_a_wrong_state_file(tmp_path: Path) -> None:
    """One that is used, or damaged, or for sockets that acknowledge nothing, is refused."""
    endpoint, state = f"tcp://127.0.0.1:{free_port()}", tmp_path / "state"
    first, _ = receiver(endpoint, state)
    with running(first), pytest.raises(OpenError, match="another input or process uses it"):
        receiver(endpoint, state)[0].open()
    state.write_bytes(b"{")
    with pytest.raises(OpenError, match=r"is not a state file: .*remove it"):
        receiver(endpoint, state)[0].open()
    with pytest.raises(OptionError, match="state_file is for ROUTER and DEALER"):
        receiver(endpoint, state, socket_type="PULL")


def test_a_state_file_has_room_for_all_that_is_remembered(tmp_path: Path) -> None:
    """As many senders as a receiver remembers, with the largest numbers, are saved and read again."""
    floors = {b"%16d" % number: (1 << 63) - 1 for number in range(10_000)}
    for known in (floors, {}):
        consumer = Consumer(b"r" * 16, greets=False, frames=9, size=1000, dead_after=9)
        for sender, floor in known.items():
            consumer.remember(sender, floor)
        remembered = _remembered.RememberedSenders(str(tmp_path / "state"), consumer, list)
        remembered.open()
        remembered.close()
    assert consumer.floors() == floors
