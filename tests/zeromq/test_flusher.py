"""The thread that sends what was held while the program does something else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import zmq

from message_passing.testing import free_port, wait_for
from message_passing.zeromq.flusher import Flusher
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def address() -> str:
    """A free endpoint."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def sender(address: str) -> Iterator[Sender]:
    """A PUB that nobody listens to, with a message in hand."""
    one = Sender(SocketSettings("PUB", connect=(address,), linger=0), subscribe_delay=0)
    one.open()
    one.send_many([b"held"])
    yield one
    one.close()


def holders() -> list[threading.Thread]:
    """The threads that are at it."""
    return [thread for thread in threading.enumerate() if thread.name == "message-passing-flusher"]


def test_held_messages_go_out_without_another_call(address: str, sender: Sender) -> None:
    """A message that was held arrives once somebody listens, though the program does nothing; the thread ends."""
    lock = threading.RLock()
    flusher = Flusher(sender, lock)
    with lock:
        flusher.look_after()
        flusher.look_after()
    assert len(holders()) == 1
    with zmq.Context() as context, context.socket(zmq.SUB) as receiver:
        receiver.subscribe(b"")
        receiver.bind(address)
        assert receiver.poll(5000)
        assert receiver.recv() == b"held"
    wait_for(lambda: not holders())
    flusher.stop()


def test_it_is_stopped_while_it_waits(sender: Sender) -> None:
    """Stopping ends the thread at once, and it can be started again."""
    lock = threading.RLock()
    flusher = Flusher(sender, lock)
    for _ in range(3):
        with lock:
            flusher.look_after()
        assert len(holders()) == 1
        flusher.stop()
        assert not holders()


def test_where_no_thread_can_be_started_nothing_is_lost(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a thread the message stays held, for the next call or for closing to send."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    Flusher(sender, threading.RLock()).look_after()
    assert sender.held == 1
