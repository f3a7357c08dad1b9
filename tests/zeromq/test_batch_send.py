"""Sending batches, with Python's lock or without it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.zeromq import batch_send
from message_passing.zeromq.batch_send import gil_holding_send, releasing_send

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tally:
    """Counts what is sent."""

    sent = 0


def counting(send: Any) -> Any:
    """The same function, with how many were sent as its result."""

    def sent(messages: list[bytes]) -> int:
        tally = Tally()
        send(messages, tally)
        return tally.sent

    return sent


@pytest.fixture
def pair() -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Two sockets that are connected, with room for ten messages each."""
    context = zmq.Context()
    sending, receiving = context.socket(zmq.PUSH), context.socket(zmq.PULL)
    sending.sndhwm = receiving.rcvhwm = 10
    receiving.bind("inproc://here")
    sending.connect("inproc://here")
    yield sending, receiving
    sending.close(0)
    receiving.close(0)
    context.term()


@pytest.fixture(params=[gil_holding_send, releasing_send])
def sender(request: pytest.FixtureRequest, pair: tuple[Any, Any]) -> Any:
    """The function that sends over the first of the pair."""
    return counting(request.param(pair[0]))


def test_whole_messages_arrive(sender: Any, pair: tuple[Any, Any]) -> None:
    """Messages of every size arrive as they were, in order."""
    messages = [b"", b"x", b"with \0 null", bytes(100_000)]
    assert sender(messages) == 4
    assert [pair[1].recv(zmq.NOBLOCK) for _ in messages] == messages


def test_stops_where_the_pipe_is_full(sender: Any, pair: tuple[Any, Any]) -> None:
    """It says how many went, and the rest goes when there is room."""
    messages = [b"%d" % number for number in range(30)]
    done = sender(messages)
    assert 10 <= done < 30
    assert sender(messages[done:]) == 0
    arrived = [pair[1].recv(zmq.NOBLOCK) for _ in range(done)]
    done += sender(messages[done:])
    while len(arrived) < done:
        arrived.append(pair[1].recv(zmq.NOBLOCK))
    assert arrived == messages[:done]


@pytest.mark.parametrize("make", [gil_holding_send, releasing_send])
def test_an_error_is_raised(make: Any) -> None:
    """Where the first message cannot be sent at all, it says why."""
    context = zmq.Context()
    socket = context.socket(zmq.PULL)
    try:
        with pytest.raises(zmq.ZMQError, match="not supported"):
            make(socket)([b"to a socket that only receives"], Tally())
    finally:
        socket.close(0)
        context.term()


def test_a_signal_in_between(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that a signal interrupted is made again: nothing is sent twice or left out."""
    sent: list[bytes] = []
    interruptions = iter([True, False, False, True, True, False])

    def zmq_send(_address: object, message: bytes, _size: int, _flags: int) -> int:
        if next(interruptions):
            return -1
        sent.append(message)
        return 0

    monkeypatch.setattr(batch_send, "_found", (zmq_send, lambda: errno.EINTR))
    assert counting(gil_holding_send(pair[0]))([b"a", b"b", b"c"]) == 3
    assert sent == [b"a", b"b", b"c"]


def test_where_libzmq_cannot_be_reached(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With another backend of pyzmq, its own send does it."""
    monkeypatch.setattr(batch_send, "_found", None)
    assert counting(gil_holding_send(pair[0]))([b"a"]) == 1
    assert pair[1].recv(zmq.NOBLOCK) == b"a"


def test_a_signal_handler_that_raises(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before is counted."""
    calls = iter([0, 0, KeyboardInterrupt])

    def zmq_send(*_: object) -> int:
        if next(calls):
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(batch_send, "_found", (zmq_send, lambda: 0))
    tally = Tally()
    with pytest.raises(KeyboardInterrupt):
        gil_holding_send(pair[0])([b"a", b"b", b"c"], tally)
    assert tally.sent == 2
