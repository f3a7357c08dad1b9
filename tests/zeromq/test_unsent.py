"""Nothing is lost in silence at the end: what waited is counted, and of what ZeroMQ had still a bound is told."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import pytest
import zmq

from message_passing.lines import MultiMessage
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.progress import Progress
from message_passing.zeromq.sending import QUEUE_FULL, SLOW_SUBSCRIBER, UNSENT, Sender
from message_passing.zeromq.settings import SocketSettings
from nodes import node, part
from support import untimed

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES: dict[str, int] = {"PUSH": zmq.PULL, "PUB": zmq.SUB}


@pytest.fixture
def endpoint() -> str:
    """A free one."""
    return f"tcp://127.0.0.1:{free_port()}"


def serviced(one: Sender) -> Sender:
    """Let it do what it has to."""
    one.service()
    return one


class Peer:
    """A receiver in a context of its own, that can be gone at once."""

    def __init__(self, kind: str, *, bind: str = "", connect: str = "", hwm: int = 0) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket = self._context.socket(TYPES[kind])
        self.socket.rcvhwm = hwm
        if kind == "PUB":
            self.socket.subscribe(b"")
        if bind:
            self.socket.bind(bind)
        else:
            self.socket.connect(connect)

    def take(self, count: int) -> list[bytes]:
        """The next so many."""
        return [self.socket.recv() for _ in range(count) if self.socket.poll(5000)]

    def close(self) -> None:
        """At once."""
        self._context.destroy(0)


@pytest.fixture
def peers() -> Iterator[ExitStack]:
    """Where receivers are closed at the end."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
@pytest.mark.parametrize("frames", [False, True])
def test_nobody_ever_came(endpoint: str, socket_type: str, frames: bool) -> None:
    """A command that sends 5,000 messages to nobody says that they were lost, whatever they travel in."""
    words = ["--encoder", "JSONLines"] if frames else []
    options = {"connect": endpoint, "socket_type": socket_type, "linger": 100, "subscribe_delay": 0.1}
    with node("--input", "STDIN", *words, *part("output", "ZeroMQ", **options)) as sender:
        sender.write(b'{"n":1}\n' * 5000)
        status, _, said = sender.end()
    lost, why = untimed(said.decode()).splitlines()
    assert (status, lost) == (0, "message-passing: output (ZeroMQ) lost 5000 messages: 5000 unsent at close")
    assert why.startswith(f"message-passing: output (ZeroMQ): not sent: {endpoint}: nobody listens there: ")


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
def test_the_receiver_has_gone(endpoint: str, socket_type: Literal["PUSH", "PUB"], peers: ExitStack) -> None:
    """What is sent after that, until the end, is counted to the message; what went before is not."""
    out = ZeroMQOutput(connect=endpoint, socket_type=socket_type, linger=100, subscribe_delay=0.1)
    receiver = Peer(socket_type, bind=endpoint)
    peers.callback(receiver.close)
    with out:
        out.consume_many([b"%d" % number for number in range(100)])
        assert len(receiver.take(100)) == 100
        progress = out._senders[0].outgoing
        wait_for(lambda: not progress.progress.unsettled(progress.sent))
        receiver.close()
        wait_for(lambda: not progress.listening())
        out.consume_many([b"%d" % number for number in range(3000)])
        assert out.held() == 3000
    assert out.snapshot()["dropped"] == {UNSENT: 3000}
    assert out.possibly_lost() == {}


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
def test_what_waited_for_a_receiver_that_comes_back_arrives(
    endpoint: str, socket_type: Literal["PUSH", "PUB"], peers: ExitStack
) -> None:
    """All of it, in order, without another call."""
    with ZeroMQOutput(connect=endpoint, socket_type=socket_type, linger=5000, reconnect_ivl_max=100) as out:
        for number in range(3):
            receiver = Peer(socket_type, bind=endpoint)
            peers.callback(receiver.close)
            messages = [b"%d %d" % (number, count) for count in range(3000)]
            if not number:
                out.consume_many(messages)
            assert receiver.take(3000) == messages if not number else receiver.take(3000)
            receiver.close()
            wait_for(lambda: not out._senders[0].outgoing.listening())
            out.consume_many([b"%d %d" % (number + 1, count) for count in range(3000)])
        last = Peer(socket_type, bind=endpoint)
        peers.callback(last.close)
        assert last.take(3000) == [b"3 %d" % count for count in range(3000)]
    assert not out.snapshot()["dropped"]


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
@pytest.mark.parametrize("binds", [True, False])
def test_a_receiver_that_takes_nothing(
    endpoint: str, socket_type: str, binds: bool, peers: ExitStack
) -> None:
    """When ZeroMQ's time is up, the bound is at least what did not arrive, and no more than was sent."""
    settings: dict[str, Any] = {"bind" if binds else "connect": (endpoint,), "linger": 200, "hwm": 1000}
    sender = Sender(SocketSettings(socket_type, **settings), subscribe_delay=0)
    if binds:
        sender.open()
    receiver = Peer(socket_type, **{"connect" if binds else "bind": endpoint}, hwm=1)
    peers.callback(receiver.close)
    if not binds:
        sender.open()
    count = 400
    wait_for(lambda: receiver.socket.poll(1) is not None and serviced(sender).outgoing.somebody())
    sender.send_many([b"x" * 50_000] * count)
    sent = sender.sent
    assert sent + sender.dropped[QUEUE_FULL] + sender.held == count
    sender.close()
    arrived = 0
    while receiver.socket.poll(300):
        receiver.socket.recv()
        arrived += 1
    assert sent - arrived <= sender.possible[UNSENT] <= sent


def test_a_linger_that_ends_a_moment_early(endpoint: str, peers: ExitStack) -> None:
    """ZeroMQ's clock counts whole milliseconds: when it says a little early that time is up, it is up."""
    receiver = Peer("PUSH", bind=endpoint, hwm=1)
    peers.callback(receiver.close)
    sender = Sender(SocketSettings("PUSH", connect=(endpoint,), linger=100, hwm=1000))
    sender.open()
    wait_for(lambda: receiver.socket.poll(1) is not None and serviced(sender).outgoing.somebody())
    sender.send_many([b"x" * 50_000] * 400)
    opened = sender.outgoing._open
    assert opened is not None
    close, opened.close = opened.close, lambda linger: close(linger - 1)  # type: ignore[method-assign]
    sender.close()
    assert sender.possible[UNSENT] > 0


@pytest.mark.parametrize("linger", [0, 1000])
def test_where_all_has_left_nothing_is_said(endpoint: str, linger: int, peers: ExitStack) -> None:
    """A sender that ends at once, but whose messages had gone, says nothing of a loss that there is not."""
    receiver = Peer("PUSH", bind=endpoint)
    peers.callback(receiver.close)
    for _ in range(10):
        sender = Sender(SocketSettings("PUSH", connect=(endpoint,), linger=linger))
        sender.open()
        sender.send_many([b"one"])
        wait_for(lambda sender=sender: serviced(sender).sent)  # type: ignore[misc]
        assert receiver.take(1) == [b"one"]
        sender.close()
        assert (sender.possible, dict(sender.dropped)) == ({}, {})


def test_a_frame_weighs_what_it_carries(endpoint: str, peers: ExitStack) -> None:
    """In what waited, and in what ZeroMQ had."""
    receiver = Peer("PUSH", bind=endpoint, hwm=1)
    peers.callback(receiver.close)
    sender = Sender(SocketSettings("PUSH", connect=(endpoint,), linger=0, hwm=1000), subscribe_delay=0)
    sender.open()
    wait_for(lambda: serviced(sender).outgoing.somebody() is True)
    sender.send_many([MultiMessage(b"x" * 100_000, 50)] * 200)
    sender.close()
    arrived = 0
    while receiver.socket.poll(300):
        receiver.socket.recv()
        arrived += 1
    lost = 50 * (200 - arrived)
    assert lost <= sender.possible[UNSENT] <= 50 * 200


def test_the_command_says_up_to_how_many(endpoint: str, peers: ExitStack) -> None:
    """Status 0, and a line that names a bound as such."""
    receiver = Peer("PUSH", bind=endpoint, hwm=1)
    peers.callback(receiver.close)
    options = {"connect": endpoint, "socket_type": "PUSH", "linger": 200, "socket_hwm": 0}
    words = ["--input", "STDIN", "--decoder", "Null", *part("output", "ZeroMQ", **options)]
    with node(*words) as sender:
        sender.write(b"x" * 50_000 + b"\n")
        assert receiver.take(1)
        sender.write((b"x" * 50_000 + b"\n") * 500)
        status, _, said = sender.end()
    assert status == 0
    assert untimed(said.decode()).startswith("message-passing: output (ZeroMQ) lost ")
    assert b"up to " in said
    assert said.endswith(b" unsent at close\n")


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
def test_a_handler_to_nobody(
    endpoint: str, socket_type: Literal["PUSH", "PUB"], capsys: pytest.CaptureFixture[str]
) -> None:
    """5,000 records, and at the end a line of its report that has them all."""
    handler = ZeroMQHandler(connect=endpoint, socket_type=socket_type, linger=100, report_interval=60)
    logger = logging.Logger("tested")  # noqa: LOG001 - the program's own are not touched
    logger.addHandler(handler)
    for number in range(5000):
        logger.info("%d", number)
    handler.close()
    assert handler.stats() == {"sent": 0, "queued": 0, "dropped": {UNSENT: 5000}, "failed": 0}
    assert "5000 log records lost so far" in capsys.readouterr().err


@pytest.mark.parametrize("socket_type", ["PUSH", "PUB"])
def test_a_handler_whose_receiver_has_gone(
    endpoint: str, socket_type: Literal["PUSH", "PUB"], peers: ExitStack
) -> None:
    """What is logged after that is in the handler's own queue, and counted to the record."""
    receiver = Peer(socket_type, bind=endpoint)
    peers.callback(receiver.close)
    handler = ZeroMQHandler(connect=endpoint, socket_type=socket_type, linger=100)
    logger = logging.Logger("tested")  # noqa: LOG001 - the program's own are not touched
    logger.addHandler(handler)
    logger.info("first")
    assert receiver.take(1)
    assert handler._shipper.worker.transmitter
    sender = handler._shipper.worker.transmitter.socket.sender
    assert sender
    wait_for(lambda: not sender.outgoing.progress.unsettled(sender.sent))
    receiver.close()
    wait_for(lambda: not sender.outgoing.listening())
    for number in range(3000):
        logger.info("%d", number)
    handler.close()
    assert handler.stats() == {"sent": 1, "queued": 0, "dropped": {UNSENT: 3000}, "failed": 0}


def test_of_two_subscribers_one_stands_still(endpoint: str, peers: ExitStack) -> None:
    """What it misses is told as a bound that is above the truth, and it is not counted as dropped."""
    out = ZeroMQOutput(socket_bind=endpoint, socket_hwm=200, linger=0)
    with out:
        quick, still = (Peer("PUB", connect=endpoint) for _ in range(2))
        peers.callback(quick.close)
        still.close()
        still = Peer("PUB", connect=endpoint, hwm=1)
        peers.callback(still.close)
        sender = out._senders[0]
        met = sender.outgoing.peers
        assert met
        wait_for(
            lambda: quick.socket.poll(1) is not None and still.socket.poll(1) is not None and met.now() == 2
        )
        deadline = time.monotonic() + 0.3
        wait_for(lambda: serviced(sender).held == 0 and time.monotonic() > deadline)
        for _ in range(200):
            out.consume_many([b"x" * 20_000] * 50)
            assert len(quick.take(50)) == 50
        told = out.possibly_lost()[SLOW_SUBSCRIBER]
        assert out.snapshot()["dropped"] == {}
        assert out.snapshot()["passed"] == 10_000
        arrived = 0
        while still.socket.poll(300):
            still.socket.recv()
            arrived += 1
        assert 0 < 10_000 - arrived <= told < 10_000


def test_a_slow_subscriber_that_has_caught_up_is_slow_no_more(endpoint: str) -> None:
    """What is sent after that is not in the bound."""
    progress = Progress(SocketSettings("PUB", bind=(endpoint,)))
    free, full = _traffic(0), _traffic(100_000)
    progress.look(100, [free, free])
    progress.falls_behind(100)
    for sent in (200, 300):
        progress.look(sent, [free, full])
    assert progress.possible(300) == {SLOW_SUBSCRIBER: 200}
    for sent in (400, 500, 600):
        progress.look(sent, [free, free])
    assert progress.possible(10_000) == {SLOW_SUBSCRIBER: 500}
    progress.falls_behind(10_000)
    assert progress.possible(10_005) == {SLOW_SUBSCRIBER: 505}


def _traffic(unacknowledged: int) -> Any:
    return type("Traffic", (), {"unacknowledged": unacknowledged})()


def test_what_has_left_is_known_late_rather_than_early(endpoint: str) -> None:
    """Only where every queue has a connection with room, and of what was sent two looks before."""
    progress = Progress(SocketSettings("PUSH", connect=(endpoint, endpoint)))
    free, full = _traffic(0), _traffic(100_000)
    for traffic in ([free], [free, full], [free, None], []):
        for _ in range(5):
            progress.look(100, traffic)
        assert progress.left == 0
    for sent in (200, 300, 400):
        progress.look(sent, [free, free])
    assert progress.left == 200
