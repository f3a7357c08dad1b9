"""The receiver, on real sockets: batches, frames, and publishers that come while it is busy."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.errors import OpenError
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.received import Deliveries
from message_passing.zeromq.receiving import Receiver
from message_passing.zeromq.settings import Limits, SocketSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def receiver(socket_type: str, *, join_frames: bool = True, **settings: Any) -> Iterator[Receiver]:
    """An open receiver."""
    one = Receiver(SocketSettings(socket_type, **settings), join_frames=join_frames)
    one.open()
    try:
        yield one
    finally:
        one.close()


@contextmanager
def sender(socket_type: int, address: str) -> Iterator[zmq.Socket[bytes]]:
    """A plain pyzmq socket that connects."""
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(socket_type)
    socket.linger = 0
    socket.connect(address)
    try:
        yield socket
    finally:
        socket.close()
        context.term()


def endpoint() -> str:
    """A free one."""
    return f"tcp://127.0.0.1:{free_port()}"


def collected(one: Receiver, count: int, limit: int = 1000) -> list[bytes]:
    """The next `count` messages."""
    found: list[bytes] = []

    def enough() -> bool:
        found.extend(one.receive(limit))
        return len(found) >= count

    wait_for(enough)
    return found


def test_an_empty_batch_means_that_nothing_is_ready() -> None:
    """Who asks for one message at a time gets one while any is there: after an empty batch he waits for a signal."""
    with receiver("PULL", bind=("inproc://one-by-one",)) as one:
        other = one._socket.context.socket(zmq.PUSH)
        try:
            other.connect("inproc://one-by-one")
            for n in range(100):
                other.send(b"%d" % n)
            assert [one.receive(1) for _ in range(101)] == [*([b"%d" % n] for n in range(100)), []]
        finally:
            other.close(0)


def test_a_batch_is_what_is_ready_and_no_more_than_asked_for() -> None:
    """Messages come in order, in batches of at most the limit, and nothing gives an empty batch."""
    address = endpoint()
    with receiver("PULL", bind=(address,)) as one, sender(zmq.PUSH, address) as other:
        assert one.receive(10) == []
        for n in range(25):
            other.send(b"%d" % n)
        first = wait_for(lambda: one.receive(10))
        assert len(first) <= 10
        assert first + collected(one, 25 - len(first)) == [b"%d" % n for n in range(25)]


FRAMES = [
    ([b"app.INFO", b"some text"], [b"some text"]),
    ([b"app.INFO", b'{"n":1}'], [b'{"n":1}']),
    ([b"a", b"b", b"c"], [b"c"]),
    ([b"", b"text"], [b"text"]),
    ([b"text"], [b"text"]),
    ([b""], [b""]),
    ([b'{"n":1}'], [b'{"n":1}']),
    ([b'{"n":1}', b"more"], [b'{"n":1}', b"more"]),
]


@pytest.mark.parametrize(("frames", "messages"), FRAMES)
def test_the_last_frame_is_the_message(frames: list[bytes], messages: list[bytes]) -> None:
    """Of several frames the last is the message, and what follows is not mistaken for a part of it."""
    address = endpoint()
    with receiver("PULL", bind=(address,)) as one, sender(zmq.PUSH, address) as other:
        other.send_multipart(frames)
        other.send(b"next")
        assert collected(one, len(messages) + 1) == [*messages, b"next"]


def test_each_frame_is_a_message_where_that_is_asked_for() -> None:
    """As the original does, every frame counts by itself."""
    address = endpoint()
    with receiver("PULL", bind=(address,), join_frames=False) as one, sender(zmq.PUSH, address) as other:
        other.send_multipart([b"topic", b"text"])
        assert collected(one, 2) == [b"topic", b"text"]


def test_a_publisher_that_comes_while_nobody_receives_hears_the_subscription() -> None:
    """The subscription is sent though the receiving thread makes no call into its socket."""
    address = endpoint()
    with receiver("SUB", bind=(address,), subscribe=(b"a", b"b")) as one:
        assert one.receive(1) == []
        with sender(zmq.XPUB, address) as other:
            for prefix in (b"a", b"b"):
                assert other.poll(5000), "no subscription came"
                assert other.recv() == b"\x01" + prefix
            other.send(b"a message")
            assert collected(one, 1) == [b"a message"]


def test_a_signal_that_the_keeper_took_is_handed_on() -> None:
    """Messages that became ready while the monitor thread called into the socket wake the receiving side."""
    address = endpoint()
    woken = threading.Event()
    with receiver("SUB", bind=(address,)) as one:
        one.on_ready(woken.set)
        with sender(zmq.XPUB, address) as first:
            assert first.poll(5000)
            first.recv()
            first.send(b"waiting")
            wait_for(lambda: one._socket.poll(10))
            with sender(zmq.XPUB, address) as second:
                assert second.poll(5000)
                assert woken.wait(5)
        assert collected(one, 1) == [b"waiting"]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("binds", [True, False])
def test_senders_end_in_order_and_what_they_had_sent_is_received(
    transport: str, binds: bool, tmp_path: Path
) -> None:
    """Who is told that nothing more is taken ends its connection, and all that it had sent arrives."""
    address = endpoint() if transport == "tcp" else f"ipc://{tmp_path}/socket"
    mine, theirs = ("bind", "connect") if binds else ("connect", "bind")
    with zmq.Context() as context, context.socket(zmq.PUSH) as other:
        other.linger = 0
        other.sndhwm = 1  # so that it has room again only when what it was given is on its way
        if not binds:
            other.bind(address)
        settings: dict[str, Any] = {mine: (address,)}
        with receiver("PULL", **settings) as one:
            if binds:
                getattr(other, theirs)(address)
            for number in range(1000):
                other.send(b"%d" % number)
            assert other.poll(5000, zmq.POLLOUT)
            wait_for(lambda: one._socket.poll(10))
            one.finish(everybody=True)
            arrived: list[bytes] = []

            def ended() -> bool:
                over = one.finished()
                arrived.extend(one.receive(1000))
                return over

            wait_for(ended)
            assert arrived == [b"%d" % number for number in range(1000)]


def test_nobody_new_is_let_in_after_the_end_has_begun() -> None:
    """Who comes meanwhile waits, and its messages stay with it."""
    address = endpoint()
    with receiver("PULL", bind=(address,)) as one:
        wait_for(lambda: one._monitor_thread and one._monitor_thread._peers.connections.listeners)
        one.finish(everybody=True)
        with sender(zmq.PUSH, address) as late:
            late.send(b"late")
            assert not one._socket.poll(200)
            assert one.finished()


@pytest.mark.parametrize("socket_type", ["SUB", "PULL"])
def test_a_refused_address_leaves_nothing_behind(socket_type: str) -> None:
    """Opening where another is bound names the address, leaves no thread, and closing is harmless."""
    address = endpoint()
    with receiver(socket_type, bind=(address,)):
        before = threading.active_count()
        other = Receiver(SocketSettings(socket_type, bind=(address,)))
        with pytest.raises(OpenError, match="address in use"):
            other.open()
        assert threading.active_count() == before
        other.close()


def test_ipc_and_inproc_and_ipv6(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every transport carries messages; inproc reaches sockets of the shared context."""
    folder = tmp_path_factory.mktemp("s")
    for address in (f"ipc://{folder}/s", f"tcp://[::1]:{free_port()}"):
        context: zmq.Context[Any] = zmq.Context()
        with receiver("PULL", bind=(address,)) as one:
            other = context.socket(zmq.PUSH)
            other.ipv6 = True
            other.connect(address)
            other.send(b"here")
            assert collected(one, 1) == [b"here"]
            other.close(0)
        context.term()
    shared: zmq.Context[Any] = zmq.Context.instance()
    with receiver("PULL", bind=("inproc://receiving",)) as one:
        near: zmq.Socket[bytes] = shared.socket(zmq.PUSH)
        near.connect("inproc://receiving")
        near.send(b"near")
        assert collected(one, 1) == [b"near"]
        near.close(0)


def together(join: bool, *messages: list[bytes]) -> tuple[list[bytes], int]:
    """What of these messages arrives where 1,000 bytes are allowed, and how many are too big."""
    address = endpoint()
    settings = SocketSettings("PULL", bind=(address,), limits=Limits(maxmsgsize=1000))
    one = Receiver(settings, join_frames=join)
    one.open()
    try:
        with sender(zmq.PUSH, address) as other:
            for message in [*messages, [b"the last"]]:
                other.send_multipart(message)
            arrived: list[bytes] = []

            def all_arrived() -> bool:
                arrived.extend(one.receive(3))
                return arrived[-1:] == [b"the last"]

            wait_for(all_arrived)
            return arrived[:-1], one.too_big.count
    finally:
        one.close()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize(
    ("frames", "refused"),
    [
        ([1000], False),
        ([500, 500], False),
        ([501, 500], True),
        ([1000, 1], True),
        ([1000, 0], False),
        ([0] * 50 + [1000], False),
        ([1] * 1000, False),
        ([1] * 1001, True),
        ([999, 1, 1], True),
    ],
)
def test_all_frames_of_a_message_together_have_the_limit_of_one(
    frames: list[int], refused: bool, join: bool, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that is too big in its frames is refused as a whole, to the byte; those around it are not."""
    if exact:
        monkeypatch.setattr(Deliveries, "__init__", exactly)
    message = [b"x" * size for size in frames]
    expected = [] if refused else message[-1:] if join else message
    assert together(join, [b"first"], message, [b"next"]) == ([b"first", *expected, b"next"], int(refused))


def exactly(self: Deliveries) -> None:
    """As while memory is short."""
    self.exact, self.drained = True, False
    self._bytes = {}


def test_objects_at_the_front_are_messages_by_themselves_in_every_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How closely the receiver looks changes nothing of what it hands on."""
    messages = [[b"{1}", b"{2}"], [b"{3}", b"x", b"{4}"], [b"topic", b"{5}", b"{6}"], [b"{7}"], [b"y", b"z"]]
    expected = [b"{1}", b"{2}", b"{3}", b"{4}", b"{5}", b"{6}", b"{7}", b"z"]
    assert together(True, *messages) == (expected, 0)
    monkeypatch.setattr(Deliveries, "__init__", exactly)
    assert together(True, *messages) == (expected, 0)
