"""The sender, on real sockets: what is sent, held, dropped, and counted."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.errors import OpenError
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.sending import NO_SUBSCRIBER, QUEUE_FULL, SLOW_SUBSCRIBER, UNSENT, Sender
from message_passing.zeromq.settings import SocketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = [b"%d" % n for n in range(50)]


@contextmanager
def sender(socket_type: str, *, delay: float = 0.2, **settings: Any) -> Iterator[Sender]:
    """An open sender, closed without waiting at the end."""
    one = Sender(SocketSettings(socket_type, **{"linger": 0, **settings}), subscribe_delay=delay)
    one.open()
    try:
        yield one
    finally:
        one._delay = 0
        one.close()


@contextmanager
def receiver(
    socket_type: int, *, bind: str = "", connect: str = "", hwm: int = 0
) -> Iterator[zmq.Socket[bytes]]:
    """A plain pyzmq socket on the other end."""
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(socket_type)
    socket.rcvhwm = hwm
    if socket_type == zmq.SUB:
        socket.subscribe(b"")
    if bind:
        socket.bind(bind)
    else:
        socket.connect(connect)
    try:
        yield socket
    finally:
        socket.close(0)
        context.term()


def received(socket: zmq.Socket[bytes], count: int) -> list[bytes]:
    """The next `count` messages."""
    found: list[bytes] = []
    for _ in range(count):
        assert socket.poll(5000), f"only {len(found)} of {count} arrived"
        found.append(socket.recv())
    return found


def serviced(one: Sender, other: zmq.Socket[bytes]) -> bool:
    """Let both ends do what they have to; whether everything held has been sent."""
    other.poll(1)
    one.service()
    return not one.held


def hears(one: Sender, other: zmq.Socket[bytes] | None = None) -> bool:
    """Let both ends do what they have to; whether the sender knows of a subscriber."""
    if other:
        other.poll(1)
    one.service()
    return one.outgoing.listening()


def endpoint() -> str:
    """A free one."""
    return f"tcp://127.0.0.1:{free_port()}"


def test_a_connecting_pub_holds_until_its_first_subscriber() -> None:
    """What was sent before anybody listened arrives when somebody does, in order, however late."""
    address = endpoint()
    with sender("PUB", connect=(address,), delay=0) as one:
        one.send_many(BATCH)
        assert one.held == len(BATCH)
        assert one.backlog() == 0
        with receiver(zmq.SUB, bind=address) as other:
            wait_for(lambda: serviced(one, other))
            one.send_many([b"after"])
            assert received(other, 51) == [*BATCH, b"after"]
    assert not one.dropped


def test_a_binding_pub_holds_for_the_delay_and_then_drops() -> None:
    """With nobody listening after `subscribe_delay`, what was held and what follows is counted as lost."""
    now = [100.0]
    one = Sender(SocketSettings("PUB", bind=(endpoint(),)), subscribe_delay=0.2, clock=lambda: now[0])
    one.open()
    one.send_many(BATCH)
    now[0] += 0.19
    one.service()
    assert one.held == 50
    now[0] += 0.02
    one.service()
    assert one.held == 0
    one.send_many(BATCH)
    assert one.dropped == {NO_SUBSCRIBER: 100}
    one.close()


def test_a_binding_pub_sends_what_it_held_to_a_subscriber_in_time() -> None:
    """A subscriber that connects within the delay gets everything."""
    address = endpoint()
    with sender("PUB", bind=(address,), delay=20) as one:
        one.send_many(BATCH)
        with receiver(zmq.SUB, connect=address) as other:
            wait_for(lambda: serviced(one, other))
            assert received(other, 50) == BATCH


def test_a_binding_pub_whose_last_subscriber_left_drops_and_counts() -> None:
    """When the subscription ends, messages are lost again, and counted again."""
    address = endpoint()
    with sender("PUB", bind=(address,), delay=0) as one:
        with receiver(zmq.SUB, connect=address) as other:
            wait_for(lambda: hears(one, other))
            one.send_many([b"heard"])
            assert received(other, 1) == [b"heard"]
        wait_for(lambda: not hears(one))
        one.send_many(BATCH)
    assert one.dropped == {NO_SUBSCRIBER: 50}


@pytest.mark.parametrize("socket_type", ["PUB", "PUSH"])
def test_what_is_held_is_bounded_by_the_high_water_mark(socket_type: str) -> None:
    """With nobody there, the oldest messages up to the mark are kept, and the rest is counted as dropped."""
    address = endpoint()
    kind = {"PUB": zmq.SUB, "PUSH": zmq.PULL}[socket_type]
    with sender(socket_type, connect=(address,), hwm=100) as one:
        for _ in range(10):
            one.send_many(BATCH)
        assert one.dropped == {QUEUE_FULL: 400}
        with receiver(kind, bind=address) as other:
            wait_for(lambda: serviced(one, other))
            assert received(other, 100) == BATCH * 2


def test_a_binding_push_holds_until_a_worker_is_there() -> None:
    """A bound PUSH has no pipe before its first worker: the sender holds up to the mark for it."""
    address = endpoint()
    with sender("PUSH", bind=(address,), hwm=60) as one:
        one.send_many(BATCH)
        one.send_many(BATCH)
        assert (one.held, one.dropped) == (60, {QUEUE_FULL: 40})
        with receiver(zmq.PULL, connect=address) as other:
            wait_for(lambda: serviced(one, other))
            assert received(other, 60) == [*BATCH, *BATCH[:10]]


def test_a_binding_push_holds_again_when_its_last_worker_has_gone() -> None:
    """Between two workers messages wait, as they did for the first one."""
    address = endpoint()
    with sender("PUSH", bind=(address,), hwm=60) as one:
        with receiver(zmq.PULL, connect=address) as other:
            one.send_many([b"first"])
            wait_for(lambda: serviced(one, other))
            assert received(other, 1) == [b"first"]
        wait_for(lambda: not one.outgoing.socket.poll(0, zmq.POLLOUT))
        one.send_many(BATCH)
        assert one.held == 50
        with receiver(zmq.PULL, connect=address) as other:
            wait_for(lambda: serviced(one, other))
            assert received(other, 50) == BATCH


def test_a_full_pipe_drops_and_counts_and_never_waits() -> None:
    """A subscriber that takes nothing costs messages, not time: none is sent, dropped and forgotten uncounted."""
    address = endpoint()
    big = [b"x" * 10_000] * 1000
    with receiver(zmq.SUB, bind=address, hwm=1) as other, sender("PUB", connect=(address,), hwm=10) as one:
        wait_for(lambda: hears(one, other))
        slowest = 0.0
        for _ in range(20):
            began = time.perf_counter()
            one.send_many(big)
            slowest = max(slowest, time.perf_counter() - began)
        assert one.dropped[QUEUE_FULL] > 0
        assert one.sent + one.dropped.total() == 20_000
        assert slowest < 1
        assert len(received(other, one.sent)) == one.sent


def test_overflow_is_kept_once_somebody_waits_for_it() -> None:
    """What a full pipe refuses is kept up to `overflow`, and sent when there is room."""
    address = endpoint()
    big = [b"x" * 100_000] * 500
    with receiver(zmq.PULL, bind=address, hwm=1) as other, sender("PUSH", connect=(address,), hwm=10) as one:
        one.overflow = 1000
        one.send_many(big)
        assert one.backlog() == one.held > 0
        count = 0
        while one.held:
            one.service()
            count += len(received(other, 1)) if other.poll(1) else 0
        received(other, 500 - count)
        assert not one.dropped


def test_a_slow_subscriber_does_not_cost_the_others() -> None:
    """One subscriber that takes nothing loses messages, counted at least once; the other gets them all."""
    address = endpoint()
    with (
        sender("PUB", bind=(address,), hwm=200) as one,
        receiver(zmq.SUB, connect=address) as quick,
        receiver(zmq.SUB, connect=address, hwm=1),
    ):
        wait_for(lambda: quick.poll(1) is not None and one.outgoing.peers and one.outgoing.peers.now() == 2)
        wait_for(lambda: hears(one, quick))
        time_to_subscribe = time.monotonic() + 0.2
        wait_for(lambda: time.monotonic() > time_to_subscribe)
        for _ in range(300):
            one.send_many([b"x" * 20_000] * 50)
            received(quick, 50)
        assert one.sent == 15_000
        assert not one.dropped
        assert 0 < one.possible[SLOW_SUBSCRIBER] < 15_000


def test_closing_waits_for_a_first_subscriber_no_longer_than_is_set() -> None:
    """What nobody came for is counted as unsent, after the longer of the delay and linger."""
    one = Sender(SocketSettings("PUB", connect=(endpoint(),), linger=300), subscribe_delay=0.1)
    one.open()
    one.send_many(BATCH)
    began = time.monotonic()
    one.close()
    assert 0.3 <= time.monotonic() - began < 1.5
    assert one.dropped == {UNSENT: 50}


def test_closing_with_nothing_held_is_immediate() -> None:
    """There is nobody to wait for when there is nothing to send."""
    one = Sender(SocketSettings("PUB", connect=(endpoint(),), linger=5000), subscribe_delay=5)
    one.open()
    began = time.monotonic()
    one.close()
    one.close()
    assert time.monotonic() - began < 1


def test_closing_sends_what_is_queued() -> None:
    """Everything handed to ZeroMQ arrives when the receiver takes it within linger."""
    address = endpoint()
    with receiver(zmq.PULL, bind=address) as other:
        one = Sender(SocketSettings("PUSH", connect=(address,), linger=5000))
        one.open()
        one.send_many([b"x" * 1000] * 5000)
        one.close()
        assert len(received(other, 5000)) == 5000


@pytest.mark.parametrize("socket_type", ["PUB", "PUSH"])
def test_a_refused_address_leaves_nothing_behind(socket_type: str) -> None:
    """Opening where another is bound is an OpenError that names the address, and can be tried again."""
    address = endpoint()
    with sender(socket_type, bind=(address,)):
        other = Sender(SocketSettings(socket_type, bind=(address,), linger=0))
        for _ in range(2):
            with pytest.raises(OpenError, match=f"{address}: address in use"):
                other.open()
        other.close()
