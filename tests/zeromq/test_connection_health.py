"""Whether connections come about: what a socket's events say, with real sockets and with peers that are none."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import zmtp
from message_passing.testing import free_port, wait_for
from message_passing.zeromq import connection_health
from message_passing.zeromq.misfits import misfit
from message_passing.zeromq.monitor import Event
from message_passing.zeromq.peers import Peers
from message_passing.zeromq.settings import SocketSettings
from message_passing.zeromq.sockets import OpenSocket
from message_passing.zeromq.zmtp_probe import Greeting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is a problem after three seconds is one at once."""
    monkeypatch.setattr(connection_health, "PROBLEM_AFTER", 0.4)
    monkeypatch.setattr(connection_health, "_TICK", 0.0)


@pytest.mark.parametrize(
    ("host", "why"),
    [("127.0.0.1", "no socket can be opened"), ("name.invalid", "the host name cannot be resolved")],
)
def test_an_address_is_no_name_that_cannot_be_resolved(host: str, why: str) -> None:
    """An attempt that is put off at once had no descriptor, where there is no name to look up."""
    endpoint = f"tcp://{host}:1"
    with closing(Watched("PUSH", endpoint)) as here:
        health = connection_health.ConnectionHealth(here._open)
        health.note(Event(int(zmq.EVENT_CONNECT_RETRIED), 0, endpoint))
        assert why in health.obstacle()


class Watched:
    """A socket, and what is known of its connections."""

    def __init__(
        self, kind: str, connect: str | tuple[str, ...] = (), bind: str | tuple[str, ...] = ()
    ) -> None:
        there = (connect,) if isinstance(connect, str) else connect
        here = (bind,) if isinstance(bind, str) else bind
        self._open = OpenSocket(SocketSettings(kind, there, here, linger=0))
        self._peers = Peers(self._open)
        self._open.attach()
        self.endpoint = self._open.endpoints()[0]

    @property
    def port(self) -> int:
        """Where it is bound."""
        return int(self.endpoint.rpartition(":")[2])

    def look(self) -> Any:
        """Its health, as of now."""
        self._open.socket.getsockopt(zmq.EVENTS)
        self._peers.look()
        return self._peers.health

    @property
    def failures(self) -> dict[str, int]:
        """How many handshakes have failed, by reason."""
        return dict(self._peers.failures)

    def close(self) -> None:
        """Close it."""
        self._peers.close()
        self._open.close(0)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens sockets."""
    with ExitStack() as stack:

        def open_one(kind: str, **where: Any) -> Watched:
            one = Watched(kind, **where)
            stack.callback(one.close)
            return one

        yield open_one


@contextmanager
def foreign(kind: int) -> Iterator[str]:
    """A socket of another program's; its endpoint."""
    with zmq.Context() as context, context.socket(kind) as one:
        yield f"tcp://127.0.0.1:{one.bind_to_random_port('tcp://127.0.0.1')}"


def test_who_only_looks_whether_the_port_is_open_is_no_misfit(opened: Any) -> None:
    """A health check of a balancer, also one in HTTP, beside a peer that fits."""
    there = opened("SUB", bind="tcp://127.0.0.1:0")
    here = opened("PUB", connect=there.endpoint)
    wait_for(lambda: here.look().connected_for() and there.look().connected_for())
    for _ in range(5):
        socket.create_connection(("127.0.0.1", there.port)).close()
    asking = zmtp.dial(there.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    there.look()
    asking.close()
    other = opened("PUB", connect=f"tcp://127.0.0.1:{free_port()}")
    wait_for(lambda: other.look().problems())
    assert (there.look().problems(), there.look().notes(), here.look().problems()) == ([], [], [])


def test_who_does_not_fit_is_a_problem_for_a_minute(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a socket that is bound: it is not known whether he will come again."""
    there = opened("PULL", bind="tcp://127.0.0.1:0")
    connection = zmtp.dial(there.port, zmtp.hello(b"PUB"))
    told = wait_for(lambda: there.look().problems())
    connection.close()
    rule = "a PULL receives from a PUSH (see its option socket_type)"
    assert re.fullmatch(
        f"{there.endpoint}: (127.0.0.1|somebody) connected, but is not a PUSH: {re.escape(rule)}", told[0]
    )
    assert there.look().notes() == []
    monkeypatch.setattr(connection_health, "_REMEMBERED", 0.0)
    wait_for(lambda: not there.look().problems())
    wait_for(lambda: any("no sender has connected yet" in text for text in there.look().notes()))


STRANGERS = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("160301020001") + bytes(512),
    "postgres": bytes.fromhex("0000000804d2162f"),
    "zeros": bytes(100),
    "another type": zmtp.hello(b"REQ"),
}


def visit(there: Watched, said: bytes) -> None:
    """One stranger's visit, until it is noticed."""
    before = sum(there.failures.values())
    with zmtp.dial(there.port, said) as stranger:
        stranger.settimeout(0.3)
        with suppress(OSError):  # until it is disconnected, or loses its patience
            while said and stranger.recv(1000):
                pass
    wait_for(lambda: there.look() and sum(there.failures.values()) > before)


@pytest.mark.parametrize(
    ("kind", "other"), [("PULL", "PUSH"), ("SUB", "PUB"), ("PUB", "SUB"), ("PUSH", "PULL")]
)
def test_strangers_beside_one_who_fits_are_no_problem(
    kind: str, other: str, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they say: each is counted, and who is not only a test of the port is noted, until he is forgotten."""
    there = opened(kind, bind="tcp://127.0.0.1:0")
    here = opened(other, connect=there.endpoint)
    wait_for(lambda: there.look().connected_for())
    visit(there, STRANGERS["nothing"])
    assert (there.failures, there.look().notes()) == ({"broken off": 1}, [])
    for said in STRANGERS.values():
        visit(there, said)
    assert there.failures["mismatched"] >= 1
    assert there.look().problems() == here.look().problems() == []
    (note,) = there.look().notes()
    assert re.search(
        "(127.0.0.1|somebody) connected, but is not a P?[A-Z]+: a health check, another program", note
    )
    assert there.look().pause is not None, "the note has an end"
    monkeypatch.setattr(connection_health, "_REMEMBERED", 0.0)
    wait_for(lambda: not there.look().notes())
    assert there.look().pause is None


def test_who_came_before_one_who_fits_is_no_problem_later(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A health check in words, day and night; somebody else who does not fit is one while nobody is connected."""
    there = opened("SUB", bind="tcp://127.0.0.1:0")
    visit(there, STRANGERS["zeros"])
    assert there.look().problems(), "nobody has ever fitted"
    here = opened("PUB", connect=there.endpoint)
    wait_for(lambda: there.look().connected_for())
    here.close()
    wait_for(lambda: not there.look().connected_for())
    monkeypatch.setattr(connection_health, "_REMEMBERED", 0.0)
    wait_for(lambda: not there.look().problems())
    monkeypatch.setattr(connection_health, "_REMEMBERED", 60.0)
    visit(there, STRANGERS["zeros"])
    assert there.look().problems() == []
    there.look().broken_off("10.0.0.7", by_peer=False, alone=True)
    wait_for(lambda: there.look().problems())


def test_strangers_are_remembered_by_a_bounded_number_of_addresses(opened: Any) -> None:
    """The oldest are forgotten."""
    there = opened("PULL", bind="tcp://127.0.0.1:0")
    for number in range(150):
        there.look().broken_off(f"10.0.0.{number}", by_peer=False, alone=False)
    assert len(there.look()._visitors) == 100


TYPES = {
    "ROUTER": (
        zmq.ROUTER,
        "its socket is a ROUTER, but a SUB receives from a PUB: messages are acknowledged on both sides",
    ),
    "REP": (
        zmq.REP,
        "its socket is a REP, but a SUB receives from a PUB: no input or output of message-passing fits",
    ),
    "SUB": (zmq.SUB, "it receives as well: give the endpoint of a sender"),
    "PUSH": (zmq.PUSH, "set socket_type PULL here, or PUB there"),
}


@pytest.mark.parametrize("name", TYPES)
def test_the_other_end_is_asked_what_it_is_once(name: str, opened: Any) -> None:
    """On a connection of its own; not again while it is the same."""
    kind, told = TYPES[name]
    with foreign(kind) as endpoint:
        here = opened("SUB", connect=endpoint)
        wait_for(lambda: any(told in text for text in here.look().problems()))
        (link,) = here.look()._links.values()
        asked = link.probed_at
        other = opened("PUB", connect=f"tcp://127.0.0.1:{free_port()}")
        wait_for(lambda: other.look().problems())
        here.look()
        assert link.probed_at == asked


def test_what_a_stranger_says_of_himself_is_shown_in_few_characters() -> None:
    """And gives no terminal an order."""
    said = Greeting(b"x", "3.1", "NULL", "\x1b[2J" + "X" * 60_000)
    told = misfit("PUB", "NULL", said)
    assert len(told) < 300
    assert "\x1b" not in told
    said = Greeting(b"x", "3.1", "\x1b" * 20, "PUB")
    assert "\x1b" not in misfit("PUB", "NULL", said)


def test_one_who_is_old_may_send(opened: Any) -> None:
    """ZMTP 2 has no event of a handshake that succeeded: he is there all the same, and it is no problem."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = b"\xff" + bytes(8) + b"\x7f\x01\x01\x00\x00"  # revision 1, PUB, an empty identity

        def serve() -> None:
            kept = []
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    break
                connection.sendall(said)
                kept.append(connection)
            for connection in kept:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        here = opened("SUB", connect=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        wait_for(lambda: here.look()._links and here._peers.health._first().greeting, timeout=10)
        assert here.look().problems() == []
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_over_ipc_it_is_the_same(opened: Any, tmp_path: Path) -> None:
    """No file, and then a socket of another type."""
    endpoint = f"ipc://{tmp_path}/socket"
    here = opened("PUSH", connect=endpoint)
    wait_for(
        lambda: any("nobody listens there: start the receiver" in text for text in here.look().problems())
    )
    opened("SUB", bind=endpoint)
    wait_for(
        lambda: any("set socket_type PUB here, or PULL there" in text for text in here.look().problems()), 10
    )


def test_each_of_several_endpoints_has_its_own(opened: Any) -> None:
    """One that fits, one where nobody is, and one of the wrong type."""
    there = opened("PULL", bind="tcp://127.0.0.1:0")
    with foreign(zmq.SUB) as wrong:
        nobody = f"tcp://127.0.0.1:{free_port()}"
        here = opened("PUSH", connect=(there.endpoint, nobody, wrong))
        found = wait_for(lambda: [text for text in here.look().problems() if "socket_type" in text], 10)
        assert len(found) == 1
        assert found[0].startswith(f"{wrong}: its socket is a SUB")
        assert [text for text in here.look().problems() if text.startswith(f"{nobody}: nobody listens there")]
        assert len(here.look().problems()) == 2


def test_a_problem_ends_when_it_is_mended(opened: Any) -> None:
    """The receiver is started later."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    here = opened("PUB", connect=endpoint)
    wait_for(lambda: here.look().problems())
    opened("SUB", bind=endpoint)
    wait_for(lambda: not here.look().problems())
    wait_for(lambda: here.look().connected_for())
