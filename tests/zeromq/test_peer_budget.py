"""What peers may cost a socket that only sends: subscriptions, connections that come and go, and whatever else."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from message_passing.outputs.zeromq import ZeroMQOutput
from message_passing.testing import free_port, wait_for
from message_passing.zeromq.connections import Traffic
from message_passing.zeromq.descriptors import Connection
from message_passing.zeromq.peer_budget import EACH, EACH_SECOND, FAIR, GONE, TOGETHER, PeerBudget
from message_passing.zeromq.sending import Sender
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import SENDERS_FRAME
from nodes import wait_for_port
from zmtp import COMMAND, MORE, dial, frame, meet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = """
import json, logging, resource, sys, time
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput

kind, port, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
endpoint = f"tcp://127.0.0.1:{port}"
if kind == "handler":
    handler = ZeroMQHandler(socket_bind=endpoint, linger=0)
    logger = logging.Logger("one")
    logger.addHandler(handler)
    send, close = (lambda: logger.info("a record")), handler.close
else:
    output = ZeroMQOutput(socket_bind=endpoint, socket_type=kind, linger=0)
    output.report = lambda *_: None
    output.open()
    send, close = (lambda: output.consume(b"a message")), output.close
send()
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, slowest, calls = time.monotonic(), 0.0, 0
while time.monotonic() - began < seconds:
    before = time.perf_counter()
    send()
    slowest, calls = max(slowest, time.perf_counter() - before), calls + 1
    time.sleep(0.001)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024
print(json.dumps({"grown": grown, "slowest": slowest, "calls": calls}), flush=True)
close()
"""
"""Sends all the time, and tells how many MiB it grew and what its slowest call took."""

_noise = os.urandom(1 << 20)

ATTACKS: dict[str, Callable[[], list[bytes]]] = {
    "3 of 16 MiB": lambda: [frame(b"\x01" + _noise * 16)] * 3,
    "many of 1,000 bytes": lambda: (
        [frame(b"\x01" + _noise[n : n + 1000]) for n in range(0, len(_noise) - 1000, 500)] * 20
    ),
    "as commands": lambda: (
        [frame(b"\x09SUBSCRIBE" + _noise[n : n + 1000], COMMAND) for n in range(0, 1 << 19, 500)] * 20
    ),
    "a forest": lambda: [
        frame(b"\x01" + bytes(255 * (n >> k & 1) for k in range(16))) for n in range(1 << 16)
    ],
    "to and fro": lambda: [frame(b"\x01" + b"a" * 3000) + frame(b"\x00" + b"a" * 3000)] * 5000,
    "parts without end": lambda: [frame(b"\x01" + bytes(1000), MORE)] * 50_000,
    "empty parts without end": lambda: [frame(b"", MORE) * 1000] * 10_000,
    "no subscriptions": lambda: [frame(b"\x02" + bytes(1000))] * 50_000,
}


def attack(port: int, frames: list[bytes], socket_type: bytes) -> None:
    """Connect and say all of it, or as much as is listened to."""
    with contextlib.suppress(OSError, AssertionError), meet(port, b"", socket_type) as connection:
        connection.settimeout(0.5)  # who has been disconnected may wait for room for as long as he likes
        for start in range(0, len(frames), 50):
            connection.sendall(b"".join(frames[start : start + 50]))


def attacked(kind: str, frames: list[bytes], seconds: float = 1.5) -> dict[str, Any]:
    """What a program tells that sends meanwhile."""
    port = free_port()
    words = [sys.executable, "-c", textwrap.dedent(PROGRAM), kind, str(port), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            wait_for_port(port)
            socket_type = b"PULL" if kind == "PUSH" else b"SUB"
            threads = [threading.Thread(target=attack, args=(port, frames, socket_type)) for _ in range(3)]
            for thread in threads:
                thread.start()
            out, _ = process.communicate(timeout=60)
            for thread in threads:
                thread.join()
        finally:
            if process.poll() is None:
                process.kill()
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.parametrize("kind", ["PUB", "handler"])
@pytest.mark.parametrize("name", ATTACKS)
def test_subscriptions_cost_little(kind: str, name: str) -> None:
    """Neither memory nor the time of who sends: it is bounded, however much three peers say."""
    told = attacked(kind, ATTACKS[name]())
    assert told["grown"] < 120, told
    assert told["slowest"] < 2, told
    assert told["calls"] > 100, told


def test_what_is_sent_to_a_push_costs_little() -> None:
    """Nobody reads it."""
    for name in ("many of 1,000 bytes", "parts without end"):
        told = attacked("PUSH", ATTACKS[name](), 1.0)
        assert told["grown"] < 60, (name, told)
        assert told["slowest"] < 1, (name, told)


@pytest.fixture
def port() -> int:
    """A free one."""
    return free_port()


@pytest.fixture
def sender(port: int) -> Iterator[Sender]:
    """A PUB that binds."""
    one = Sender(SocketSettings("PUB", bind=(f"tcp://127.0.0.1:{port}",), linger=0), subscribe_delay=0)
    one.open()
    yield one
    one.close_socket(0)


def heard(one: Sender) -> int:
    """How many prefixes it knows of."""
    one.service()
    return len(one.outgoing.prefixes or ())


def test_honest_subscribers_with_many_prefixes(sender: Sender, port: int) -> None:
    """Ten, each with three hundred of its own and three hundred that all have: they get what they asked for."""
    with zmq.Context() as context:
        sockets = [context.socket(zmq.SUB) for _ in range(10)]
        for number, socket in enumerate(sockets):
            socket.linger = 0
            for prefix in range(300):
                socket.subscribe(b"subscriber-%d/topic-%d/" % (number, prefix))
                socket.subscribe(b"everybody/topic-%d/" % prefix)
            socket.connect(f"tcp://127.0.0.1:{port}")

        def all_heard() -> bool:
            for socket in sockets:
                socket.poll(1)
            return heard(sender) == 3300

        wait_for(all_heard)
        for prefix in range(0, 300, 50):
            sender.send_many([b"everybody/topic-%d/text" % prefix, b"subscriber-7/topic-%d/text" % prefix])
        for number, socket in enumerate(sockets):
            expected = 12 if number == 7 else 6
            assert sum(1 for _ in range(expected) if socket.poll(5000) and socket.recv()) == expected
            socket.close()
    assert sender.outgoing.cut == 0
    assert not sender.dropped


def test_at_the_bound(sender: Sender, port: int) -> None:
    """A little less than a connection may bring is taken; a little more ends it, and is told and counted."""
    little = b"".join(frame(b"\x01" + b"%06d" % n + bytes(93)) for n in range((EACH - 2000) // 102))
    with meet(port, little, b"SUB") as connection:
        wait_for(lambda: heard(sender) == (EACH - 2000) // 102)
        assert sender.outgoing.cut == 0
        connection.sendall(b"".join(frame(b"\x01more%06d" % n + bytes(89)) for n in range(40)))
        wait_for(lambda: heard(sender) == 0 and sender.outgoing.cut == 1)
        assert connection.recv(1) == b""
    (told,) = sender.notices.take()
    assert "127.0.0.1 sent " in told
    assert "to a socket that only sends" in told


def test_a_frame_at_the_bound(sender: Sender, port: int) -> None:
    """A prefix of 4 KiB less its first byte is heard; one byte more ends the connection."""
    with meet(port, frame(b"\x01" + bytes(SENDERS_FRAME - 1)), b"SUB"):
        wait_for(lambda: heard(sender) == 1)
    with meet(port, frame(b"\x01" + b"x" * SENDERS_FRAME), b"SUB") as connection:
        assert connection.recv(1) == b""


def test_an_output_tells_how_many_it_disconnected(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its end; and it goes on meanwhile."""
    monkeypatch.setattr(
        "message_passing.zeromq.peer_budget.TOGETHER", 1 << 30
    )  # they may connect again at once
    out = ZeroMQOutput(socket_bind=f"tcp://127.0.0.1:{port}", linger=0)
    told: list[BaseException] = []
    out.report = lambda error, *_: told.append(error)  # type: ignore[method-assign]
    with out:
        for _ in range(2):
            with meet(port, b"", b"SUB") as connection:
                connection.settimeout(0.5)
                while True:
                    out.consume(b"x")
                    try:
                        connection.sendall(frame(b"\x01" + bytes(1000)) * 50)
                    except OSError:
                        break
        wait_for(lambda: out.summary() == ["2 connections ended that sent too much to it"])
    assert out.summary() == ["2 connections ended that sent too much to it"]
    assert len(told) == 2  # the first at once, the second when it ends


def _connection(number: int) -> Connection:
    return Connection(number, number, True, "127.0.0.1", 1, number)


def _brought(count: int) -> Traffic:
    return Traffic(count, 0, 0, 0)


def test_a_connection_may_last_for_months() -> None:
    """A heartbeat each second is never too much; as much at once as is allowed for a day is."""
    budget, one = PeerBudget(), _connection(1)
    for second in range(0, 10_000_000, 1000):
        assert not budget.excess({one: _brought(second * EACH_SECOND)}, float(second), too_many=False)
    after = 10_000_000 * EACH_SECOND + EACH + 2000 * EACH_SECOND
    assert budget.excess({one: _brought(after)}, 10_000_000, too_many=False) == {one: after}


def test_many_that_are_modest_are_too_much_together() -> None:
    """Who brought most goes, until the others are within the bound."""
    budget = PeerBudget()
    crowd = {_connection(number): _brought(number * 100) for number in range(1, 200)}
    found = budget.excess(crowd, 1.0, too_many=False)
    left = [one.read for connection, one in crowd.items() if connection not in found]
    assert sum(left) <= TOGETHER
    assert min(found.values()) > max(left)
    assert not PeerBudget().excess(dict(list(crowd.items())[:90]), 1.0, too_many=False)


def test_too_many_prefixes_cost_one_connection_a_second() -> None:
    """The one that brought most, and not all of them before ZeroMQ has forgotten its."""
    budget = PeerBudget()
    crowd = {_connection(number): _brought(number * 1000) for number in range(1, 20)}
    assert [one.descriptor for one in budget.excess(crowd, 10.0, too_many=True)] == [19]
    assert not budget.excess(crowd, 10.5, too_many=True)
    assert budget.excess(crowd, 11.5, too_many=True)


def test_who_brought_little_is_not_to_blame_for_too_many_prefixes() -> None:
    """Whoever it was has gone, and the sender has not noticed it yet; at the bound, one is to blame."""
    budget = PeerBudget()
    modest = {_connection(1): _brought(103), _connection(2): _brought(FAIR - 1)}
    for second in range(10, 20):
        assert not budget.excess(modest, float(second), too_many=True)
    both = {**modest, _connection(3): _brought(FAIR)}
    assert not budget.excess(both, 21.0, too_many=False)
    # It is the same one a day later, though its time would have allowed it that by now.
    assert [one.descriptor for one in budget.excess(both, 90_000.0, too_many=True)] == [3]


def test_connections_that_have_ended_count() -> None:
    """At the bound all is as it was; above it nobody is to connect until half is forgotten, and nobody is cut."""
    budget, one = PeerBudget(), _connection(0)
    ended, now = 0, 1.0

    def end_one(brought: int) -> None:
        nonlocal ended, now
        ended += 1
        assert not budget.excess(
            {one: _brought(100), _connection(ended): _brought(brought)}, now, too_many=False
        )
        assert not budget.excess({one: _brought(100)}, now, too_many=False)

    found = []
    for count in [EACH] * (TOGETHER // EACH) + [1]:
        end_one(count)
        found.append(budget.crowded)
    for later in (TOGETHER / 2 / GONE, 0.1):
        now += later
        end_one(1)
        found.append(budget.crowded)
    assert found == [False] * (TOGETHER // EACH) + [True, True, False]


def _most_seen(sender: Sender) -> int:
    """Bytes that the watcher knows one connection to have brought."""
    assert sender.outgoing._watcher
    assert sender.outgoing._watcher._budget
    return max((count for _, count, _ in sender.outgoing._watcher._budget._seen.values()), default=0)


def test_nobody_connects_after_a_wave_of_connections(
    sender: Sender, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told and counted; who is there gets all; and afterwards others can connect again."""
    monkeypatch.setattr("message_passing.zeromq.peer_budget.TOGETHER", EACH)
    monkeypatch.setattr("message_passing.zeromq.peer_budget.GONE", EACH)
    said = frame(b"\x01" + bytes(1000)) * 20
    with zmq.Context() as context, context.socket(zmq.SUB) as honest:
        honest.linger = 0
        honest.subscribe(b"a")
        honest.connect(f"tcp://127.0.0.1:{port}")
        wait_for(lambda: heard(sender) == 1)

        for _ in range(2):
            with meet(port, said, b"SUB"):
                wait_for(lambda: heard(sender) == 2 and _most_seen(sender) > 20_000)
            wait_for(lambda: heard(sender) == 1)
        wait_for(lambda: sender.outgoing.shut)
        sender.send_many([b"a1"])
        assert honest.recv() == b"a1"
        assert any("nobody can connect to it for some seconds" in text for text in sender.notices.take())
        with dial(port):
            wait_for(lambda: heard(sender) == 1)
    assert (sender.outgoing.shut, sender.outgoing.cut) == (1, 0)


IDLE = """
import logging, os, sys, time
from message_passing.logging import ZeroMQHandler
from message_passing.outputs.zeromq import ZeroMQOutput

kind, port = sys.argv[1:]
endpoint = f"tcp://127.0.0.1:{port}"
if kind == "handler":
    handler = ZeroMQHandler(socket_bind=endpoint, linger=0)
    logging.getLogger().addHandler(handler)
    logging.warning("one")
    while not (handler._shipper.worker.transmitter and handler._shipper.worker.transmitter.socket.sender):
        time.sleep(0.01)
    sender = handler._shipper.worker.transmitter.socket.sender
else:
    if kind == "child" and (child := os.fork()):
        os.waitpid(child, 0)
        raise SystemExit
    output = ZeroMQOutput(socket_bind=endpoint, socket_type="PUSH" if kind == "PUSH" else "PUB", linger=0)
    output.open()
    sender = output._senders[0]
print("bound", flush=True)
sys.stdin.readline()
print(sender.outgoing.peers.ended, len(sender.outgoing.peers.monitor.read()), flush=True)
"""
"""Binds, and does nothing more; tells how many connections it knows to have ended, and what nobody has read."""


@pytest.mark.parametrize("kind", ["PUB", "PUSH", "handler", "child"])
def test_an_idle_sender_keeps_no_events(kind: str) -> None:
    """Connections that come and go leave nothing behind, though nobody calls into the socket."""
    port = free_port()
    words = [sys.executable, "-c", IDLE, kind, str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == b"bound\n"
            for _ in range(2000):
                dial(port).close()
            begun = time.monotonic()
            wait_for(lambda: time.monotonic() - begun > 1)  # the events of the last ones are on their way
            out, _ = process.communicate(b"tell\n", timeout=20)
        finally:
            process.kill()
    ended, unread = map(int, out.split())
    assert ended > 1900
    assert unread < 50


def test_the_watcher_ends_with_its_socket(port: int) -> None:
    """Also when it was opened and closed many times; and at once."""

    def watchers() -> int:
        return sum(thread.name == "message-passing-watcher" for thread in threading.enumerate())

    before = watchers()
    began = time.monotonic()
    for _ in range(20):
        one = Sender(SocketSettings("PUSH", bind=(f"tcp://127.0.0.1:{port}",), linger=0), subscribe_delay=0)
        one.open()
        assert watchers() == before + 1
        one.close()
        assert watchers() == before
    assert time.monotonic() - began < 5


def test_without_a_thread_the_sender_stands_in(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none can be had, peers are counted, and who sends too much is disconnected, when messages are sent."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one = Sender(SocketSettings("PUB", bind=(f"tcp://127.0.0.1:{port}",), linger=0), subscribe_delay=0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        one.open()
    try:
        with meet(port, frame(b"\x01" + bytes(1000)) * 20, b"SUB") as connection:
            wait_for(lambda: heard(one) == 1)
            with contextlib.suppress(OSError):
                for _ in range(200):
                    connection.sendall(frame(b"\x01" + bytes(1000)) * 5)
                    one.send_many([b"x"])
            wait_for(lambda: heard(one) == 0 and one.outgoing.cut == 1)
    finally:
        one.close()
