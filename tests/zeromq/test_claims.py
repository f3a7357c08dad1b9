"""A message that waits goes to who has subscribed to it: what somebody else subscribed to decides nothing."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
import zmq

from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.sending import NO_SUBSCRIBER, QUEUE_FULL, UNSENT, Sender
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.subscriptions import MOST_PREFIXES, Prefixes
from nodes import wait_for_port
from zmtp import COMMAND, dial, frame, meet

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = [b"%d" % number for number in range(3000)]

JUNK = {
    "a message": frame(b"\x01zzz"),
    "a command": frame(b"\x09SUBSCRIBEzzz", COMMAND),
    "longer than any message": frame(b"\x01" + b"1" * 4000),
    "several": b"".join(frame(b"\x01z%d" % number) for number in range(100)),
    "all, and no more": frame(b"\x01zzz") + frame(b"\x01yyy") + frame(b"\x00zzz"),
}


def settled(one: Sender) -> bool:
    """Let it do what it has to; True."""
    one.service()
    return True


@pytest.fixture
def port() -> int:
    """A free one."""
    return free_port()


@pytest.fixture
def bound(port: int) -> Iterator[Sender]:
    """A PUB that binds, and holds for long."""
    one = Sender(SocketSettings("PUB", bind=(f"tcp://127.0.0.1:{port}",), linger=0), subscribe_delay=60)
    one.open()
    yield one
    one.close_socket(0)


def subscriber(stack: ExitStack, port: int, *prefixes: bytes) -> zmq.Socket[bytes]:
    """An honest one that connects."""
    context: zmq.Context[zmq.Socket[bytes]] = stack.enter_context(zmq.Context())
    socket: zmq.Socket[bytes] = stack.enter_context(context.socket(zmq.SUB))
    socket.rcvhwm = 0
    socket.linger = 0
    for prefix in prefixes:
        socket.subscribe(prefix)
    socket.connect(f"tcp://127.0.0.1:{port}")
    return socket


def taken(one: Sender, socket: zmq.Socket[bytes], count: int) -> list[bytes]:
    """The next messages, while the sender does what it has to."""
    found: list[bytes] = []

    def take() -> bool:
        one.service()
        while len(found) < count and socket.poll(1):
            found.append(socket.recv())
        return len(found) == count

    wait_for(take)
    return found


@pytest.mark.parametrize("junk", JUNK)
def test_a_junk_subscription_takes_nothing(bound: Sender, port: int, junk: str) -> None:
    """What waits stays, whoever asks for something else first; who asks for it gets all, in order."""
    bound.send_many(BATCH)
    with ExitStack() as stack:
        stack.enter_context(meet(port, JUNK[junk], b"SUB"))
        wait_for(lambda: settled(bound) and bound.outgoing.prefixes)
        bound.send_many([b"more"])
        assert (bound.held, bound.sent, dict(bound.dropped)) == (3001, 0, {})
        honest = subscriber(stack, port, b"")
        assert taken(bound, honest, 3001) == [*BATCH, b"more"]
    assert not bound.dropped


def test_each_gets_what_it_asked_for_and_the_rest_waits(bound: Sender, port: int) -> None:
    """Three subscribers of three parts, one after the other: order is kept within each."""
    bound.send_many([b"a1", b"b1", b"c1", b"a2", b"b2", b"c2"])
    with ExitStack() as stack:
        for prefix in (b"b", b"a", b"c"):
            assert taken(bound, subscriber(stack, port, prefix), 2) == [prefix + b"1", prefix + b"2"]
    assert (bound.held, bound.sent) == (0, 6)


def test_after_the_delay_what_nobody_wants_is_counted(port: int) -> None:
    """Of a bound PUB whose subscriber wants a part, the rest is `no subscriber`, message by message."""
    one = Sender(SocketSettings("PUB", bind=(f"tcp://127.0.0.1:{port}",), linger=0), subscribe_delay=0)
    one.open()
    try:
        with ExitStack() as stack:
            honest = subscriber(stack, port, b"a")
            wait_for(lambda: honest.poll(1) is not None and settled(one) and one.outgoing.listening())
            one.send_many([b"a1", b"b1", b"a2", b"b2", b"b3"])
            assert taken(one, honest, 2) == [b"a1", b"a2"]
            assert (one.sent, one.dropped, one.held) == (2, {NO_SUBSCRIBER: 3}, 0)
    finally:
        one.close_socket(0)


@pytest.mark.parametrize("way", ["unsubscribes", "goes away"])
def test_a_subscriber_that_ceases(bound: Sender, port: int, way: str) -> None:
    """What comes after its end waits again, for the next one."""
    with ExitStack() as stack:
        first = subscriber(stack, port, b"")
        bound.send_many([b"1"])
        assert taken(bound, first, 1) == [b"1"]
        if way == "unsubscribes":
            first.unsubscribe(b"")
            wait_for(lambda: first.poll(1) is not None and settled(bound) and not bound.outgoing.prefixes)
        else:
            first.close()
            wait_for(lambda: settled(bound) and not bound.outgoing.prefixes)
        bound.send_many([b"2", b"3"])
        assert bound.held == 2
        assert taken(bound, subscriber(stack, port, b""), 2) == [b"2", b"3"]


def test_what_waits_for_nobody_is_bounded_in_messages_and_bytes(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the high-water mark, and by a number of bytes: the newest are dropped and counted."""
    monkeypatch.setattr("message_passing.zeromq.held.HELD_BYTES", 10_000)
    settings = SocketSettings("PUB", bind=(f"tcp://127.0.0.1:{port}",), linger=0, hwm=100)
    for size, most in ((10, 100), (1000, 10)):
        one = Sender(settings, subscribe_delay=60)
        one.open()
        try:
            with meet(port, frame(b"\x01zzz"), b"SUB"):
                wait_for(lambda one=one: settled(one) and one.outgoing.prefixes)  # type: ignore[misc]
                for _ in range(20):
                    one.send_many([b"x" * size] * 10)
                assert (one.held, one.dropped) == (most, {QUEUE_FULL: 200 - most})
        finally:
            one.close_socket(0)


def test_a_connecting_publisher(port: int) -> None:
    """A receiver that binds and asks for something else takes nothing; the next thing it asks for it gets."""
    out = ZeroMQOutput(connect=f"tcp://127.0.0.1:{port}", linger=0, subscribe_delay=0)
    with ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = stack.enter_context(zmq.Context())
        receiver = stack.enter_context(context.socket(zmq.SUB))
        receiver.linger = 0
        receiver.subscribe(b"zzz")
        receiver.bind(f"tcp://127.0.0.1:{port}")
        with out:
            out.consume_many(BATCH)
            wait_for(lambda: receiver.poll(1) is not None and out._senders[0].outgoing.prefixes)
            assert out.held() == 3000
            receiver.subscribe(b"1")
            wanted = [message for message in BATCH if message.startswith(b"1")]
            assert [receiver.recv() for _ in wanted if receiver.poll(5000)] == wanted
            assert out.held() == 3000 - len(wanted)
    assert out.snapshot()["dropped"] == {NO_SUBSCRIBER: 3000 - len(wanted)}


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "drop_least_severe"])
def test_a_handler_that_binds(port: int, policy: str) -> None:
    """3,000 records and a junk subscription: all of them are there for who wants them."""
    handler = ZeroMQHandler(socket_bind=f"tcp://127.0.0.1:{port}", linger=100, policy=policy)  # type: ignore[arg-type]
    logger = logging.Logger("tested")  # noqa: LOG001 - the program's own are not touched
    logger.addHandler(handler)
    for number in range(1000):
        logger.info("%d", number)
    wait_for_port(port)
    with meet(port, frame(b"\x01zzz"), b"SUB"), ExitStack() as stack:
        wait_for(
            lambda: (
                handler._shipper.worker.transmitter and handler._shipper.worker.transmitter._kept._subscribed
            )
        )
        for number in range(1000, 3000):
            logger.info("%d", number)
        wait_for(lambda: handler.stats()["queued"] == 3000 and not handler._shipper.queue)
        assert (handler.stats()["sent"], handler.stats()["dropped"]) == (0, {})
        honest = subscriber(stack, port, b"{")
        found = [honest.recv() for _ in range(3000) if honest.poll(5000)]
        assert [b'"message":"%d"' % number in text for number, text in enumerate(found)] == [True] * 3000
        handler.close()
    assert handler.stats() == {"sent": 3000, "queued": 0, "dropped": {}, "failed": 0}


def test_a_handler_s_records_that_nobody_wanted_are_counted(port: int) -> None:
    """At its end, as unsent."""
    handler = ZeroMQHandler(socket_bind=f"tcp://127.0.0.1:{port}", linger=100)
    logger = logging.Logger("tested")  # noqa: LOG001 - the program's own are not touched
    logger.addHandler(handler)
    logger.info("first")
    wait_for_port(port)
    with meet(port, frame(b"\x01zzz"), b"SUB"):
        wait_for(
            lambda: (
                handler._shipper.worker.transmitter and handler._shipper.worker.transmitter._kept._subscribed
            )
        )
        logger.info("second")
        handler.close()
    assert handler.stats() == {"sent": 0, "queued": 0, "dropped": {UNSENT: 2}, "failed": 0}


def test_the_prefix_of_a_message_is_found_among_many() -> None:
    """As a comparison with each would find it, also where some prefixes begin others."""
    prefixes, plain = Prefixes(), set[bytes]()
    for number in range(0, 2000, 7):
        text = b"%d" % (number * number)
        prefixes.note(b"\x01" + text)
        plain.add(text)
    for number in range(0, 2000, 21):
        text = b"%d" % (number * number)
        prefixes.note(b"\x00" + text)
        plain.discard(text)
    prefixes.settle(len(plain))
    messages = [b"%d" % (number * 12_345) for number in range(2000)] + [b"", b"\xff"]
    for message in messages:
        assert prefixes.match(message) == any(map(message.startswith, plain)), message
    wanted, others = prefixes.split(messages)
    assert wanted
    assert others
    assert sorted(wanted + others) == sorted(messages)


def test_too_many_prefixes_are_noticed() -> None:
    """By their number, and by their bytes, which go down again when they end."""
    prefixes = Prefixes()
    for number in range(MOST_PREFIXES):
        prefixes.note(b"\x01%d" % number)
    assert not prefixes.too_many()
    prefixes.note(b"\x01one more")
    assert prefixes.too_many()
    prefixes.note(b"\x00one more")
    prefixes.settle(MOST_PREFIXES)
    assert not prefixes.too_many()
    prefixes.note(b"\x01" + bytes(1 << 20))
    assert prefixes.too_many()


LIES = {
    "a message": frame(b"\x00"),
    "a command": frame(b"\x06CANCEL", COMMAND),
    "several": frame(b"\x00") * 100,
    "after an honest one": frame(b"\x01") + frame(b"\x00") * 2,
    "among true ones": frame(b"\x01zzz") + frame(b"\x00") + frame(b"\x00zzz"),
    "of a shorter prefix": frame(b"\x01a") + frame(b"\x00") + frame(b"\x01ab") + frame(b"\x00a"),
}


@pytest.mark.parametrize("lie", LIES)
def test_nobody_ends_another_s_subscription(bound: Sender, port: int, lie: str) -> None:
    """A cancellation of what its sender has not subscribed to changes nothing, nor does his end."""
    with ExitStack() as stack:
        honest = subscriber(stack, port, b"")
        bound.send_many([b"1"])
        assert taken(bound, honest, 1) == [b"1"]
        with meet(port, LIES[lie] + frame(b"\x01heard"), b"SUB"):
            wait_for(lambda: _wants(bound, b"heard"))
            bound.send_many([b"2"])
            assert taken(bound, honest, 1) == [b"2"]
        wait_for(lambda: not _wants(bound, b"heard"))
        bound.send_many([b"3"])
        assert taken(bound, honest, 1) == [b"3"]
        assert not bound.dropped
        honest.close()
        wait_for(lambda: settled(bound) and not bound.outgoing.prefixes)
        bound.send_many([b"4"])
        assert bound.held == 1
        assert taken(bound, subscriber(stack, port, b""), 1) == [b"4"]


def test_one_of_two_with_the_same_subscription_leaves(bound: Sender, port: int) -> None:
    """The other one gets what comes then; and the first again, when it has subscribed again."""
    with ExitStack() as stack:
        first, second = subscriber(stack, port, b"", b"a"), subscriber(stack, port, b"")
        bound.send_many([b"1"])
        assert taken(bound, first, 1) == [b"1"]
        wait_for(lambda: settled(bound) and bound.outgoing.peers and bound.outgoing.peers.met == 2)
        for turn in range(3):
            mark = b"b%d" % turn
            second.subscribe(mark)
            wait_for(partial(_wants, bound, mark, second))
            while second.poll(1):
                second.recv()
            first.unsubscribe(b"")
            first.unsubscribe(b"a")
            wait_for(lambda: not _wants(bound, b"a", first))
            bound.send_many([b"2"])
            assert taken(bound, second, 1) == [b"2"]
            first.subscribe(b"")
            first.subscribe(b"a")
            wait_for(lambda: _wants(bound, b"a", first))
            bound.send_many([b"3"])
            assert taken(bound, first, 1) == [b"3"]
    assert not bound.dropped


def _wants(one: Sender, prefix: bytes, socket: zmq.Socket[bytes] | None = None) -> bool:
    """Whether somebody has subscribed to just this, after a turn for this socket and the sender."""
    if socket:
        socket.poll(1)
    one.service()
    prefixes = one.outgoing.prefixes
    return prefixes is not None and prefix in prefixes._all


def test_who_speaks_zmtp_2_ends_no_subscription(bound: Sender, port: int) -> None:
    """Of such a peer ZeroMQ would not tell which connection a cancellation came from: it is not let in."""
    with ExitStack() as stack:
        honest = subscriber(stack, port, b"")
        bound.send_many([b"1"])
        assert taken(bound, honest, 1) == [b"1"]
        for turn in range(3):
            with dial(port) as old, suppress(ConnectionResetError, BrokenPipeError):
                old.sendall(b"\xff" + bytes(8) + b"\x7f\x01\x02" + frame(b"") + frame(b"\x00"))
                old.sendall(frame(b"\x01old%d" % turn) + frame(b"\x00"))
                while old.recv(100):
                    pass
            settled(bound)
            assert not _wants(bound, b"old%d" % turn)
            bound.send_many([b"2"])
            assert taken(bound, honest, 1) == [b"2"]
        honest.close()
        wait_for(lambda: settled(bound) and not bound.outgoing.prefixes)


def test_an_older_libzmq_forgets_when_nobody_is_there(
    bound: Sender, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not tell the number of prefixes: what is doubtful counts as wanted until all connections have ended."""
    monkeypatch.setattr("message_passing.zeromq.subscriptions._TOPICS_COUNT", 9999)
    with ExitStack() as stack:
        honest = subscriber(stack, port, b"")
        bound.send_many([b"1"])
        assert taken(bound, honest, 1) == [b"1"]
        with meet(port, frame(b"\x00") + frame(b"\x01zzz"), b"SUB"):
            wait_for(lambda: _wants(bound, b"zzz"))
            bound.send_many([b"2"])
            assert taken(bound, honest, 1) == [b"2"]
        honest.close()
        wait_for(lambda: settled(bound) and not bound.outgoing.prefixes)


def test_what_is_doubtful_is_settled_by_the_count() -> None:
    """All of it ended, none of it, or nobody knows which."""
    prefixes = Prefixes()
    for text in (b"a", b"b", b"c"):
        prefixes.note(b"\x01" + text)
    for text in (b"a", b"b", b"other"):
        prefixes.note(b"\x00" + text)
    prefixes.settle(2)
    assert (len(prefixes), prefixes.doubtful) == (3, 2)
    prefixes.settle(3)
    assert (len(prefixes), prefixes.doubtful) == (3, 0)
    prefixes.note(b"\x00a")
    prefixes.note(b"\x00b")
    prefixes.note(b"\x01b")
    prefixes.settle(2)
    assert (len(prefixes), prefixes.doubtful, prefixes.size) == (2, 0, 2)
    prefixes.note(b"\x00b", anonymous=True)
    prefixes.note(b"\x00c")
    prefixes.settle(2)  # ZeroMQ still counts the one whose connection has ended
    assert (len(prefixes), prefixes.doubtful) == (1, 0)
